#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/config/train_config.h"
#include "txtsum/model/seq2seq_model.h"
#include "txtsum/ops/block_scope.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/train/batch_source.h"
#include "txtsum/train/observer.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::train {

/// What one update measured: means over the target tokens of the global batch.
struct UpdateResult {
  double loss = 0.0;
  double nll = 0.0;
  double gradient_norm = 0.0;  ///< Of the mean loss, before clipping.
};

/// What updates are made of. References must outlive the step.
struct UpdateParts {
  const config::TrainConfig& config;
  uint64_t seed;
  model::Seq2SeqModel& model;
  BatchSource& batches;
  parallel::Communicator& communicator;
  Optimizer& optimizer;
};

/// Carries out updates: micro-batches forward and backward, reduction, norm, clipping, optimizer. An update is started,
/// and finished when its numbers are asked for.
class UpdateStep {
 public:
  virtual ~UpdateStep() = default;

  /// Starts update number `update` (from 1).
  virtual void start(const GlobalBatch& batch, int64_t update, double learning_rate) = 0;
  /// Waits for the oldest update that was started. Throws DataError where its loss or gradient norm is not finite: the
  /// optimizer has then changed nothing.
  virtual UpdateResult finish() = 0;
  /// Whether the next update may be started before this one is finished.
  virtual bool runs_ahead() const = 0;
  /// What a GPU was kept busy with; none on a CPU.
  virtual std::optional<GpuWork> gpu_work() const { return std::nullopt; }
};

/// Makes the step for the model's device and the optimizer, and allocates the gradients: bf16 where the working weights
/// are bf16 and every update is one micro-batch, else fp32.
std::unique_ptr<UpdateStep> make_update_step(const UpdateParts& parts);

/// The scope that train.recompute names; null: blocks run plainly.
std::unique_ptr<ops::BlockScope> make_block_scope(const UpdateParts& parts);

/// Throws DataError: `what` of update `update` is `value`.
[[noreturn]] void refuse_update(const BatchSource& batches, const char* what, double value, int64_t update,
                                const std::vector<int64_t>& examples);

/// torch.nn.utils.clip_grad_norm_ adds this to the norm.
inline constexpr double kClipEpsilon = 1e-6;

}  // namespace txtsum::train
