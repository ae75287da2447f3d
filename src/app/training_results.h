#pragma once

#include <string>
#include <vector>

#include "app/run_folder.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/core/json.h"
#include "txtsum/metrics/ledger.h"
#include "txtsum/train/observer.h"

namespace txtsum::app {

/// What is known of a training that has ended.
struct TrainingSummary {
  const config::ExperimentConfig& config;
  const train::TrainOutcome& outcome;
  int64_t examples = 0;             ///< Of the training split.
  int64_t validation_examples = 0;  ///< Of which the loss was measured.
  int64_t updates_in_epoch = 0;
};

/// Writes train_results.json, eval_results.json (of the finished model's validation, where there was one),
/// all_results.json and trainer_state.json in transformers' form from the lines of steps.jsonl. Throws DataError.
void write_training_results(const RunFolder& folder, const TrainingSummary& summary,
                            const std::vector<core::Json>& steps, metrics::Ledger& ledger);

/// The newest validation in the lines of steps.jsonl, or the best one where `best`; null where there is none.
core::Json last_validation(const std::vector<core::Json>& steps, bool best);

/// The MLflow run that earlier attempts in the folder logged to; empty where none is known.
std::string remembered_mlflow_run(const RunFolder& folder);
void remember_mlflow_run(const RunFolder& folder, const std::string& run_id);

}  // namespace txtsum::app
