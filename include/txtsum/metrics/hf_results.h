#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/core/json.h"

namespace txtsum::metrics {

/// What transformers' Trainer.train returns and run_summarization.py saves.
struct TrainResults {
  double epoch = 0;             ///< Epochs done, with the fraction.
  double loss = 0;              ///< Mean over the updates.
  double runtime_seconds = 0;   ///< The whole train call: with validation and saving.
  int64_t samples = 0;          ///< Examples of the training set (after a limit).
  int64_t samples_trained = 0;  ///< transformers' count: samples x epochs, or max_steps x batch size.
  int64_t max_steps = 0;        ///< Updates planned; transformers divides these by the runtime.
  double total_flos = 0;
  std::optional<double> step_seconds;  ///< Seconds in updates alone (the ledger's train phase).
};

/// Keys `train_loss`, `train_runtime`, `train_samples`, `train_samples_per_second`, `train_steps_per_second`,
/// `total_flos`, `epoch`, rounded as there; and, of our own, `train_pure_step_seconds`,
/// `train_pure_step_samples_per_second`.
core::Json train_results(const TrainResults& results);

/// What Trainer.evaluate and Trainer.predict return.
struct SplitResults {
  std::optional<double> loss;
  std::map<std::string, double> rouge;  ///< rouge1, rouge2, rougeL, rougeLsum: mean F from 0 to 1.
  std::optional<double> gen_len;        ///< Mean tokens that are not padding, special tokens counted.
  double runtime_seconds = 0;
  int64_t samples = 0;
  int64_t steps = 0;            ///< Batches.
  std::optional<double> epoch;  ///< evaluate after training has it, predict has not.
};

/// Keys with `prefix` ("eval" or "predict") in front. ROUGE x 100 with 4 decimals.
core::Json split_results(const SplitResults& results, const std::string& prefix);

/// Writes `FOLDER/SPLIT_results.json` (split: train, eval, predict) and merges it into `FOLDER/all_results.json`, keys
/// sorted. Throws DataError.
void write_results(const std::string& folder, const std::string& split, const core::Json& results);

/// An entry of log_history for one logged update.
core::Json training_log_entry(int64_t step, double epoch, double loss, double gradient_norm, double learning_rate);
/// An entry of log_history for results: without the `*_samples` and pure-step keys, which transformers does not log.
core::Json results_log_entry(const core::Json& results, int64_t step, double epoch);

/// transformers' TrainerState.
struct TrainerState {
  double epoch = 0;
  int64_t global_step = 0;
  int64_t max_steps = 0;
  int64_t num_train_epochs = 0;
  int64_t logging_steps = 0;
  int64_t eval_steps = 0;
  int64_t save_steps = 0;
  int64_t train_batch_size = 0;
  int64_t num_input_tokens_seen = 0;
  double total_flos = 0;
  std::vector<core::Json> log_history;
  std::optional<double> best_metric;
  std::optional<int64_t> best_global_step;
  std::optional<std::string> best_model_checkpoint;  ///< Path of the step's folder.
};

/// The content of trainer_state.json, keys sorted; transformers' TrainerState.load_from_json reads it.
core::Json trainer_state(const TrainerState& state);

}  // namespace txtsum::metrics
