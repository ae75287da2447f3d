#include <optional>

#include "app/command.h"
#include "app/rank_checks.h"
#include "app/rank_guard.h"
#include "app/run_folder.h"
#include "app/run_ledger.h"
#include "app/run_lock.h"
#include "app/training_run.h"
#include "txtsum/config/load.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

struct TrainOptions {
  std::string config;
};

/// What rank 0 has found in the output folder, for all ranks.
RunStart agreed_start(const config::ExperimentConfig& config, parallel::Communicator& ranks) {
  std::string own;
  if (ranks.rank() == 0) {
    own = plan_start(config).resume_from;
  }
  return {ranks.gather_bytes(own).front()};
}

/// Whether there is nothing to do, by what rank 0 has found; it says so.
bool is_finished(const config::ExperimentConfig& config, parallel::Communicator& ranks) {
  const bool found = ranks.rank() == 0 && holds_finished_training(config);
  if (ranks.gather_bytes(found ? "finished" : "").front().empty()) return false;
  if (ranks.rank() == 0) {
    core::log_info(config.run.output + " holds this training already, finished: nothing to do. To train again, take " +
                   "another run.output, or run.resume=never run.overwrite=true");
  }
  return true;
}

void train_as_rank(const config::ExperimentConfig& config, parallel::Communicator& ranks, const ComputeDevice& device,
                   const std::string& command_line) {
  std::optional<RunLock> lock;
  if (ranks.rank() == 0) load_as_rank(ranks, [&] { lock.emplace(config.run.output); });
  if (is_finished(config, ranks)) return;  // while this waited for the lock
  const RunStart start = agreed_start(config, ranks);
  if (ranks.rank() == 0) {
    TrainingRun(config, start, command_line, ranks, device, core::system_clock()).run();
  } else {
    follow_training(config, start, ranks, device, core::system_clock());
  }
}

int run_train(const TrainOptions& options, const std::vector<std::string>& overrides, const std::string& command_line) {
  const config::ExperimentConfig config = config::load_experiment(options.config, overrides);
  const std::vector<metrics::IdlePower> idle = idle_power(config, core::system_clock());
  run_on_ranks(config, [&](parallel::Communicator& ranks, ComputeDevice& device) {
    if (is_finished(config, ranks)) return;  // A folder that can only be read will do.
    device.idle = idle;
    count_devices(device, ranks);
    require_shared_folder(config, ranks);
    train_as_rank(config, ranks, device, command_line);
  });
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
