#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "txtsum/ops/device_update.h"
#include "txtsum/train/observer.h"

namespace txtsum::train {

/// Everything about a training that is neither weight nor moment. Kept as `training_state.json` in a step's folder.
struct TrainingState {
  uint64_t seed = 0;
  std::string config_fingerprint;
  int64_t world = 1;
  int64_t update = 0;  ///< Updates done.
  int64_t epoch = 0;   ///< Position: epoch and global batch in it that come next.
  int64_t batch = 0;
  double training_seconds = 0;  ///< In updates, over all attempts.
  double loss_sum = 0;          ///< Of the updates' mean losses.
  int64_t examples = 0, source_tokens = 0, target_tokens = 0;
  LogRecord window;  ///< Sums since the last log record.
  std::optional<double> best_metric;
  int64_t best_update = 0;                        ///< 0: none.
  int64_t bad_validations = 0;                    ///< In a row, for early stopping.
  bool validation_pending = false;                ///< A validation was due after `update` and had not been made.
  std::optional<ops::LossScaleState> loss_scale;  ///< With train.precision=fp16.
};

/// Name of the folder of one step: `step-12`.
std::string step_folder_name(int64_t update);

/// Reads the state of a step's folder. Throws DataError.
TrainingState read_training_state(const std::string& step_folder);

/// Whether a step has the optimizer's state, without which no training goes on from it.
bool resumable(const std::string& step_folder);

/// Newest whole step folder with optimizer state in `checkpoint_folder` (`RUN/checkpoints`); empty when there is none.
/// Folders that were finished and are damaged (a file is missing, or has another size or checksum) are passed over with
/// a warning, and those without DONE, which were not, without one.
std::string find_checkpoint(const std::string& checkpoint_folder);

}  // namespace txtsum::train
