#include "app/command.h"
#include "app/experiment.h"
#include "app/resource_plan_text.h"
#include "txtsum/config/load.h"

namespace txtsum::app {
namespace {

struct PlanOptions {
  std::string config;
  PlanRequest request;
  bool as_json = false;
};

int run_plan(const PlanOptions& options, const std::vector<std::string>& overrides) {
  const config::ExperimentConfig config = config::load_experiment(options.config, overrides);
  set_threads(config.run.threads);
  const ResourcePlan plan = plan_resources(config, options.request);
  print(options.as_json ? core::to_pretty_text(to_json(plan, config)) : plan_text(plan, config));
  return 0;
}

}  // namespace

void add_plan_command(CommandLine& line) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command =
      add_command(line.program, "plan",
                  "What a training would need, before anything runs: memory, updates, time, energy, carbon, cost.",
                  worked_examples("txtsum plan configs/bart_large_samsum.yaml --card H100 --ranks 1,2,4",
                                  "txtsum plan configs/smoke/tiny_bart.yaml train.batch_size=64 --json"));
  command->add_option("CONFIG", options->config, "Experiment in YAML.")->required()->check(CLI::ExistingFile);
  command
      ->add_option("--card", options->request.cards,
                   "GPUs to plan for, as configs/devices has them: H100, A100-80GB, ...; without it what run.device "
                   "names on this machine.")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--ranks", options->request.ranks, "Numbers of ranks to plan for: 1,2,4.")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 4096))
      ->default_str("1");
  command->add_flag("--json", options->as_json, "Print one JSON object.");
  command->allow_extras();
  command->callback([&line, command, options] {
    line.run = [command, options] { return run_plan(*options, command->remaining()); };
  });
}

}  // namespace txtsum::app
