#include "app/training_results.h"

#include <cmath>
#include <filesystem>

#include "app/run_ledger.h"
#include "txtsum/core/file.h"
#include "txtsum/metrics/hf_results.h"

namespace txtsum::app {
namespace {

constexpr const char* kMlflowFile = "mlflow_run.json";

metrics::SplitResults validation_results(const core::Json& validation, const TrainingSummary& summary) {
  metrics::SplitResults results;
  if (validation.contains("loss")) results.loss = validation.at("loss").get<double>();
  for (const char* name : {"rouge1", "rouge2", "rougeL", "rougeLsum"}) {
    if (validation.contains(name)) results.rouge[name] = validation.at(name).get<double>() / 100.0;
  }
  if (validation.contains("gen_len")) results.gen_len = validation.at("gen_len").get<double>();
  results.runtime_seconds = validation.at("seconds").get<double>();
  results.epoch = validation.at("epoch").get<double>();
  results.samples = summary.validation_examples;
  const int64_t slots = summary.config.generation.slots;
  results.steps = (summary.validation_examples + slots - 1) / slots;
  return results;
}

std::vector<core::Json> log_history(const std::vector<core::Json>& steps, const TrainingSummary& summary,
                                    const core::Json& train_results) {
  std::vector<core::Json> history;
  for (const core::Json& line : steps) {
    const int64_t update = line.at("update").get<int64_t>();
    if (line.at("event") == core::Json("update")) {
      history.push_back(
          metrics::training_log_entry(update, line.at("epoch").get<double>(), line.at("loss").get<double>(),
                                      line.at("gradient_norm").get<double>(), line.at("learning_rate").get<double>()));
    } else if (line.at("event") == core::Json("validation")) {
      const core::Json results = metrics::split_results(validation_results(line, summary), "eval");
      history.push_back(metrics::results_log_entry(results, update, line.at("epoch").get<double>()));
    }
  }
  history.push_back(metrics::results_log_entry(train_results, summary.outcome.updates, summary.outcome.epoch));
  return history;
}

}  // namespace

core::Json last_validation(const std::vector<core::Json>& steps, bool best) {
  core::Json found;
  for (const core::Json& line : steps) {
    if (line.at("event") != core::Json("validation")) continue;
    if (best && !line.value("best", false)) continue;
    found = line;
  }
  return found;
}

void write_training_results(const RunFolder& folder, const TrainingSummary& summary,
                            const std::vector<core::Json>& steps, metrics::Ledger& ledger) {
  const train::TrainOutcome& outcome = summary.outcome;
  const config::ExperimentConfig& config = summary.config;
  const metrics::RunTotals totals = metrics::add_up(all_attempts(folder.file(kAttemptsFolder), ledger));
  const auto phase = [&](metrics::Phase which) -> const metrics::PhaseTotals& {
    return totals.phases[static_cast<size_t>(which)];
  };
  metrics::TrainResults results;
  results.epoch = outcome.epoch;
  results.loss = outcome.mean_loss;
  results.runtime_seconds = phase(metrics::Phase::kTrain).seconds + phase(metrics::Phase::kValidate).seconds +
                            phase(metrics::Phase::kSave).seconds;
  results.samples = summary.examples;
  results.samples_trained = outcome.examples;
  results.max_steps = outcome.updates;
  results.total_flos = phase(metrics::Phase::kTrain).work.flops;
  results.step_seconds = outcome.training_seconds;
  const core::Json train_results = metrics::train_results(results);
  metrics::write_results(folder.path(), "train", train_results);

  const bool best = config.checkpoint.best_metric != config::BestMetric::kNone;
  const core::Json validation = last_validation(steps, best);
  if (!validation.is_null()) {
    metrics::write_results(folder.path(), "eval",
                           metrics::split_results(validation_results(validation, summary), "eval"));
  }

  metrics::TrainerState state;
  state.epoch = outcome.epoch;
  state.global_step = outcome.updates;
  state.max_steps = outcome.updates;
  state.num_train_epochs = static_cast<int64_t>(std::ceil(outcome.epoch));
  state.logging_steps = config.train.log_every_updates;
  const auto period = [&](const std::optional<int64_t>& updates, const std::optional<double>& epochs) {
    return updates
               ? *updates
               : static_cast<int64_t>(std::llround(epochs.value_or(1) * static_cast<double>(summary.updates_in_epoch)));
  };
  state.eval_steps = period(config.validation.every_updates, config.validation.every_epochs);
  state.save_steps = period(config.checkpoint.every_updates, config.checkpoint.every_epochs);
  state.train_batch_size = config.train.batch_size.value_or(0);
  state.num_input_tokens_seen = outcome.source_tokens;
  state.total_flos = results.total_flos;
  state.log_history = log_history(steps, summary, train_results);
  state.best_metric = outcome.best_metric;
  if (!outcome.best_checkpoint.empty()) {
    state.best_model_checkpoint = outcome.best_checkpoint;
    const std::string name = std::filesystem::path(outcome.best_checkpoint).filename().string();
    state.best_global_step = std::stoll(name.substr(name.find('-') + 1));
  }
  core::write_file(folder.file(kTrainerStateFile), core::to_pretty_text(metrics::trainer_state(state)));
}

std::string remembered_mlflow_run(const RunFolder& folder) {
  if (!std::filesystem::exists(folder.file(kMlflowFile))) return "";
  return core::read_json_file(folder.file(kMlflowFile)).value("run_id", "");
}

void remember_mlflow_run(const RunFolder& folder, const std::string& run_id) {
  if (run_id.empty()) return;
  core::write_file(folder.file(kMlflowFile), core::to_pretty_text({{"run_id", run_id}}));
}

}  // namespace txtsum::app
