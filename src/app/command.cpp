#include "app/command.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "txtsum/core/error.h"

namespace txtsum::app {

std::string worked_examples(std::string_view first, std::string_view second) {
  std::string text("Examples:\n  ");
  text.append(first).append("\n  ").append(second).append("\n");
  return text;
}

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer(examples);
  command->set_help_flag("-h,--help", "Print this help and leave.");
  return command;
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw core::DataError(std::string("stdout: cannot write: ") + std::strerror(errno));
  }
}

}  // namespace txtsum::app
