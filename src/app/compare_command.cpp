#include "app/command.h"
#include "app/run_comparison.h"

namespace txtsum::app {
namespace {

struct CompareOptions {
  std::string first;
  std::string second;
  bool as_json = false;
  int resamples = kComparisonResamples;
  uint64_t seed = 0;
};

int run_compare(const CompareOptions& options) {
  const FinishedRun first = read_finished_run(options.first);
  const FinishedRun second = read_finished_run(options.second);
  metrics::BootstrapOptions bootstrap;
  bootstrap.resamples = options.resamples;
  bootstrap.seed = options.seed;
  const RunComparison comparison = compare_runs(first, second, bootstrap);
  print(options.as_json ? core::to_pretty_text(comparison_json(first, second, comparison))
                        : comparison_text(first, second, comparison));
  return 0;
}

}  // namespace

void add_compare_command(CommandLine& line) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command =
      add_command(line.program, "compare",
                  "Compare two runs on the same documents: ROUGE with a paired bootstrap, energy, carbon, cost.",
                  worked_examples("txtsum compare runs/quickstart-before runs/quickstart",
                                  "txtsum compare runs/all runs/frozen_encoder --json"));
  command->add_option("A", options->first, "Folder of a run or of an evaluation.")->required();
  command->add_option("B", options->second, "Another one; differences are B - A.")->required();
  command->add_flag("--json", options->as_json, "Print one JSON object.");
  command->add_option("--resamples", options->resamples, "Bootstrap resamples of the documents.")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Seed of the bootstrap.")->capture_default_str();
  command->callback([&line, options] { line.run = [options] { return run_compare(*options); }; });
}

}  // namespace txtsum::app
