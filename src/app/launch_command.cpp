#include "app/command.h"
#include "app/rank_processes.h"
#include "txtsum/core/error.h"

namespace txtsum::app {
namespace {

constexpr int64_t kMostProcesses = 1024;

int run_launch(RankProcessOptions options, std::vector<std::string> words) {
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  if (words.empty() || words.front().starts_with("-") || words.front() == "launch") {
    throw core::UserError(
        "launch: name the command to start after the options, as in: txtsum launch --processes 2 train "
        "configs/quickstart.yaml");
  }
  options.arguments = std::move(words);
  return run_rank_processes(options);
}

}  // namespace

void add_launch_command(CommandLine& line) {
  auto options = std::make_shared<RankProcessOptions>();
  CLI::App* command = add_command(
      line.program, "launch", "Start several ranks of a command on this machine, and end them together.",
      worked_examples("txtsum launch --processes 2 train configs/quickstart.yaml train.max_minutes=5",
                      "txtsum launch --processes 4 --grace-seconds 60 -- train configs/bart_base_samsum.yaml"));
  command->add_option("-n,--processes", options->processes, "How many ranks: copies of this program.")
      ->required()
      ->check(CLI::Range(int64_t{1}, kMostProcesses));
  command
      ->add_option("--grace-seconds", options->grace_seconds,
                   "After a rank has failed: how long the others may take to end before SIGTERM, and from there to "
                   "SIGKILL.")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  command->footer(
      "txtsum launch [OPTIONS] [--] COMMAND ...\n\n"
      "COMMAND ... is any other command of txtsum with its arguments. Each copy has RANK, WORLD_SIZE, LOCAL_RANK,\n"
      "LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and OMP_NUM_THREADS where you have not set it: its share of the\n"
      "CPUs. Rank 0's output is passed through, lines of the others begin with `rank K: `. SIGTERM and SIGINT go to "
      "all.\n"
      "The exit code is the first that is not 0, 128 + n for a rank that signal n has killed.\n\n" +
      command->get_footer());
  // Everything from the command's name on is the ranks'; what follows a -- is given to the program instead of to us.
  command->prefix_command();
  command->preparse_callback([&line](size_t) { line.program.allow_extras(); });
  command->callback([&line, command, options] {
    line.run = [&line, command, options] {
      std::vector<std::string> words = command->remaining();
      const std::vector<std::string> after_mark = line.program.remaining();
      words.insert(words.end(), after_mark.begin(), after_mark.end());
      return run_launch(*options, std::move(words));
    };
  });
}

}  // namespace txtsum::app
