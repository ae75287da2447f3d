#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txtsum::train {

/// What the trainer is busy with; the ledger attributes time by it.
enum class Phase { kTrain, kValidate, kSave };

/// What is known before the first update.
struct RunFacts {
  int64_t examples = 0;                   ///< Of the training split.
  int64_t updates_in_epoch = 0;           ///< Of the first epoch.
  std::optional<int64_t> total_updates;   ///< Unset when only time limits the training.
  std::optional<int64_t> warmup_updates;  ///< Unset when only the share is known.
  double warmup_share = 0.0;              ///< Used where warmup_updates is unset.
  std::optional<double> max_minutes;
  int64_t trainable_parameters = 0;  ///< Elements that the optimizer updates.
  int64_t parameters = 0;
  std::string gradient_type;  ///< `fp32`, `bf16` or `fp16`.
  int64_t first_update = 1;   ///< Number of the first update of this attempt.
  std::string resumed_from;   ///< Step folder; empty when training starts anew.
};

/// Sums over the examples of a batch that attention's work depends on; s source tokens, t target tokens an example.
struct LengthProducts {
  double source_pairs = 0;         ///< Sum of model::source_pairs over the examples.
  double target_squared = 0;       ///< sum t^2
  double source_times_target = 0;  ///< sum s t
};

/// One update.
struct UpdateRecord {
  int64_t update = 0;          ///< From 1.
  double epoch = 0.0;          ///< Passes over the data after this update.
  double share = 0.0;          ///< Of the training that is done, 0 to 1.
  double loss = 0.0;           ///< Mean over target tokens, label smoothing included.
  double nll = 0.0;            ///< Mean over target tokens, without label smoothing.
  double learning_rate = 0.0;  ///< That this update used.
  double gradient_norm = 0.0;  ///< Before clipping, of the mean loss; 0 where the update was left out.
  double loss_scale = 1.0;     ///< 1 but with train.precision=fp16.
  bool left_out = false;       ///< fp16: a gradient overflowed, and nothing was updated.
  int64_t examples = 0;
  int64_t source_tokens = 0;
  int64_t target_tokens = 0;
  LengthProducts lengths;
  double seconds = 0.0;  ///< Of this update: batch, forward, backward, optimizer.
};

/// Means over the updates since the last log record.
struct LogRecord {
  UpdateRecord last;    ///< The newest update.
  int64_t updates = 0;  ///< In the window.
  double loss = 0.0;    ///< Mean of the updates' losses.
  double nll = 0.0;
  double gradient_norm = 0.0;                                  ///< Mean over those that were not left out.
  int64_t left_out = 0;                                        ///< Updates that overflowed (fp16).
  int64_t examples = 0, source_tokens = 0, target_tokens = 0;  ///< Sums.
  double seconds = 0.0;                                        ///< Sum.
};

/// One validation. Metrics are in the order measured: `loss`, `nll`, then the evaluator's.
struct ValidationRecord {
  int64_t update = 0;
  double epoch = 0.0;
  std::vector<std::pair<std::string, double>> metrics;
  double seconds = 0.0;
  bool best = false;  ///< Best so far by checkpoint.best_metric.

  /// The metric named `name`, or none.
  std::optional<double> metric(const std::string& name) const {
    for (const auto& [key, value] : metrics) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
};

/// How a GPU was kept busy.
struct GpuWork {
  int64_t shapes = 0;  ///< Different shapes of micro-batches after rounding up.
  int64_t graphs = 0;  ///< Of those, captured as CUDA graphs.
  double capture_seconds = 0.0;
  int64_t replays = 0;          ///< Micro-batches that ran as a graph.
  int64_t eager_runs = 0;       ///< Micro-batches that ran eagerly.
  int64_t tokens = 0;           ///< Source and target tokens of all micro-batches.
  int64_t padded_tokens = 0;    ///< The same after rounding up.
  double busy_seconds = 0.0;    ///< From the beginning to the end of updates on the GPU.
  double waited_seconds = 0.0;  ///< Between updates, with nothing to do, and in those of a CPU (offload).
};

/// What one rank keeps for the training, and what it has sent to others in this attempt.
struct RankWork {
  int64_t world = 1, zero_stage = 0;
  std::vector<int64_t>
      block_elements;  ///< Trainable elements of each block, where block 0 is what is used outside them.
  int64_t frozen_elements = 0;
  int64_t weight_bytes = 0, gradient_bytes = 0, master_bytes = 0, moment_bytes = 0;  ///< Weights of the model's type.
  int64_t host_bytes = 0;  ///< In host memory by parallel.offload; not in the others.
  int64_t reduce_scatter_elements = 0, all_gather_elements = 0;
};

enum class StopReason { kUpdates, kTime, kEarlyStopping };

/// How a training ended.
struct TrainOutcome {
  StopReason reason = StopReason::kUpdates;
  int64_t updates = 0;
  double epoch = 0.0;
  double mean_loss = 0.0;                                      ///< Mean of all updates' losses, over all attempts.
  double training_seconds = 0.0;                               ///< In updates, over all attempts.
  int64_t examples = 0, source_tokens = 0, target_tokens = 0;  ///< Over all attempts.
  std::string last_checkpoint;                                 ///< Step folder; empty when none was written.
  std::string best_checkpoint;                                 ///< Empty without selection.
  std::optional<double> best_metric;
  std::optional<GpuWork> gpu;  ///< Of this attempt.
  RankWork rank_work;
};

/// Told what happens; attached by app (progress line, step log, meters, loggers). Called on the training thread, in the
/// order attached. An exception ends the training.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_start(const RunFacts&) {}
  virtual void on_phase(Phase) {}
  virtual void on_update(const UpdateRecord&) {}  ///< Every update.
  virtual void on_log(const LogRecord&) {}        ///< Every train.log_every_updates, and the last.
  virtual void on_validation(const ValidationRecord&) {}
  virtual void on_save(const std::string& /*step_folder*/, int64_t /*update*/) {}
  virtual void on_finish(const TrainOutcome&) {}
};

}  // namespace txtsum::train
