#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace txtsum::app {

/// The command line while it is put together and read. Each command is one file with one `add_..._command`, which
/// declares the command's options and sets what `run` becomes when the command is chosen.
struct CommandLine {
  CLI::App program;
  std::function<int()> run;  ///< The chosen command; returns the exit code.
  std::string text;          ///< As it was typed, for reports.
};

/// Two worked examples at the end of a help screen, a line each.
std::string worked_examples(std::string_view first, std::string_view second);

/// Declares a command with its help. `parent` is the program or a command with commands of its own.
CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& description,
                      const std::string& examples);

void add_train_command(CommandLine& line);
void add_evaluate_command(CommandLine& line);
void add_summarize_command(CommandLine& line);
void add_score_command(CommandLine& line);
void add_compare_command(CommandLine& line);
void add_report_command(CommandLine& line);
void add_convert_command(CommandLine& line);
void add_tokenizer_command(CommandLine& line);
void add_check_command(CommandLine& line);
void add_plan_command(CommandLine& line);
void add_config_command(CommandLine& line);
void add_info_command(CommandLine& line);
void add_launch_command(CommandLine& line);

/// Writes results to stdout. Throws DataError when it refuses (a full disk behind a redirection).
void print(std::string_view text);

}  // namespace txtsum::app
