#include "app/command.h"
#include "app/run_folder.h"
#include "app/training_run.h"
#include "txtsum/config/load.h"
#include "txtsum/core/log.h"
#include "txtsum/parallel/rank_environment.h"

namespace txtsum::app {
namespace {

struct TrainOptions {
  std::string config;
};

int run_train(const TrainOptions& options, const std::vector<std::string>& overrides, const std::string& command_line) {
  parallel::require_one_rank(parallel::rank_environment());
  const config::ExperimentConfig config = config::load_experiment(options.config, overrides);
  const RunStart start = plan_start(config);
  if (start.finished) {
    core::log_info(config.run.output + " holds this training already, finished: nothing to do. To train again, take " +
                   "another run.output, or run.resume=never run.overwrite=true");
    return 0;
  }
  TrainingRun(config, start, command_line, core::system_clock()).run();
  return 0;
}

}  // namespace

void add_train_command(CommandLine& line) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command = add_command(
      line.program, "train", "Fine-tune a model as an experiment says, then summarize and score the test split.",
      worked_examples("txtsum train configs/quickstart.yaml train.max_minutes=2 run.output=runs/try",
                      "txtsum train configs/bart_base_samsum.yaml model.checkpoint=facebook/bart-base "
                      "optimizer.learning_rate=3e-5"));
  command->add_option("CONFIG", options->config, "Experiment in YAML; a run's config.yaml repeats that run.")
      ->required()
      ->check(CLI::ExistingFile);
  // Overrides are what is left: so that a flag by another tool's name reaches the loader, which knows our word for it.
  command->allow_extras();
  command->footer(
      "key=value arguments override the file: docs/config_reference.md has every key. The same command again goes on\n"
      "from the newest checkpoint.\n\n" +
      command->get_footer());
  command->callback([&line, command, options] {
    line.run = [&line, command, options] { return run_train(*options, command->remaining(), line.text); };
  });
}

}  // namespace txtsum::app
