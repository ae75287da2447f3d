#include "txtsum/app/program.h"

#include <c10/util/Exception.h>

#include <csignal>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "app/command.h"
#include "txtsum/app/progress_line.h"
#include "txtsum/config/suggest.h"
#include "txtsum/core/build_info.h"
#include "txtsum/core/bus_error.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/ops/device.h"

namespace txtsum::app {
namespace {

constexpr int kUserError = 2;
constexpr int kEnvironmentError = 71;

std::string command_text(int argc, const char* const* argv) {
  std::string text;
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i];
    const bool plain = !word.empty() && word.find_first_of(" \t\n'\"\\$`*?|&;<>()[]{}~#!") == std::string::npos;
    if (i > 0) text += ' ';
    if (plain) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += '\'';
  }
  return text;
}

/// The innermost command that was named.
CLI::App* chosen_command(CLI::App* app) {
  const std::vector<CLI::App*> chosen = app->get_subcommands();
  return chosen.empty() ? app : chosen_command(chosen.front());
}

/// The command that an unknown word most likely stands for; empty where none is close.
std::string suggestion(const CLI::App& command) {
  const std::vector<std::string> unknown = command.remaining();
  std::vector<std::string> names;
  for (const CLI::App* each : command.get_subcommands(nullptr)) names.push_back(each->get_name());
  if (unknown.empty() || names.empty()) return "";
  const std::optional<std::string> closest = config::closest_word(unknown.front(), names);
  return "unknown command '" + unknown.front() + "'" + (closest ? " (did you mean " + *closest + "?)" : "");
}

/// Says what is wrong with the command line, with the help of the option that it is about.
int explain(CLI::App& program, const CLI::ParseError& error) {
  CLI::App* command = chosen_command(&program);
  const std::string unknown = suggestion(*command);
  std::string text = unknown.empty() ? error.what() : unknown;
  const CLI::Option* about = nullptr;
  size_t longest = 0;
  for (const CLI::Option* option : command->get_options()) {
    const std::string name = option->get_name();
    if (name.size() > longest && text.find(name) != std::string::npos) {
      about = option;
      longest = name.size();
    }
  }
  if (about != nullptr) {
    text.append("\n").append(CLI::Formatter().make_option(about, about->get_positional()));
    while (!text.empty() && text.back() == '\n') text.pop_back();
  }
  std::string path("txtsum");
  if (command != &program) {
    path.clear();
    for (CLI::App* app = command; app != nullptr; app = app->get_parent()) {
      path = app->get_name() + (path.empty() ? "" : " " + path);
    }
  }
  core::log_error(text + "\n" + path + " --help lists everything");
  return kUserError;
}

/// What LibTorch says, without the stack that follows its first line.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

int report_environment_error(const std::string& text) {
  core::log_error(first_line(text));
  core::log_debug(text);
  return kEnvironmentError;
}

/// Where neither training nor generation has said more.
int report_out_of_memory() {
  core::log_error(
      "out of memory. What lowers the peak: train.micro_batch_tokens (halving it halves the activations), "
      "train.recompute=blocks, generation.slots and generation.beams for summaries, model.freeze");
  return kEnvironmentError;
}

/// The one place where errors end.
int guarded(const std::function<int()>& run) {
  try {
    return run();
  } catch (const core::Error& error) {
    core::log_error(error.what());
    return error.exit_code();
  } catch (const c10::Error& error) {
    return ops::is_out_of_memory(error) ? report_out_of_memory()
                                        : report_environment_error(error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return report_out_of_memory();
  } catch (const std::exception& error) {
    return report_environment_error(error.what());
  }
}

/// Before and after the command's name alike.
void add_log_flags(CLI::App& app, bool* verbose, bool* quiet) {
  app.add_flag("-v,--verbose", *verbose, "Also log what helps to find a fault.");
  app.add_flag("-q,--quiet", *quiet, "Log warnings and errors only.");
  for (CLI::App* command : app.get_subcommands(nullptr)) add_log_flags(*command, verbose, quiet);
}

int parse_and_run(int argc, const char* const* argv) {
  CommandLine line;
  line.text = command_text(argc, argv);
  CLI::App& program = line.program;
  program.name("txtsum");
  program.description("Fine-tunes encoder-decoder models for abstractive summarization, and says what it cost.");
  program.set_help_flag("-h,--help", "Print this help and leave.");
  program.set_version_flag("--version", std::string("txtsum ") + core::build_info().version);
  program.require_subcommand(1);
  program.footer(worked_examples("txtsum train configs/quickstart.yaml train.max_minutes=5",
                                 "echo \"A long text ...\" | txtsum summarize --model runs/quickstart/model"));
  bool verbose = false;
  bool quiet = false;
  program.parse_complete_callback([&] {
    core::start_log(verbose ? core::LogLevel::kDebug : quiet ? core::LogLevel::kWarning : core::LogLevel::kInfo);
  });
  add_train_command(line);
  add_evaluate_command(line);
  add_summarize_command(line);
  add_score_command(line);
  add_compare_command(line);
  add_report_command(line);
  add_convert_command(line);
  add_tokenizer_command(line);
  add_check_command(line);
  add_plan_command(line);
  add_config_command(line);
  add_info_command(line);
  add_launch_command(line);
  add_log_flags(program, &verbose, &quiet);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return program.exit(success);
  } catch (const CLI::ParseError& error) {
    return explain(program, error);
  }
  return line.run();
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  core::set_before_log_line(&hide_progress_lines);
  core::install_stop_signals();
  core::explain_bus_errors();
  std::signal(SIGXFSZ, SIG_IGN);  // A file beyond the user's limit is an error that names it, like a full disk.
  return guarded([&] { return parse_and_run(argc, argv); });
}

}  // namespace txtsum::app
