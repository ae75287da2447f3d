#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sharding.h"
#include "txtsum/config/train_config.h"
#include "txtsum/model/seq2seq_model.h"
#include "txtsum/ops/block_scope.h"
#include "txtsum/ops/device_update.h"
#include "txtsum/train/batch_source.h"
#include "txtsum/train/observer.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::train {

/// What one update measured: means over the target tokens of the global batch.
struct UpdateResult {
  double loss = 0.0;
  double nll = 0.0;
  double gradient_norm = 0.0;  ///< Of the mean loss, before clipping.
  double loss_scale = 1.0;     ///< That its gradients were made with.
  bool left_out = false;       ///< A gradient overflowed in fp16: nothing was updated, and gradient_norm is 0.
};

/// What updates are made of. References must outlive the step.
struct UpdateParts {
  const config::TrainConfig& config;
  uint64_t seed;
  model::Seq2SeqModel& model;
  BatchSource& batches;
  Sharding& sharding;
  Optimizer& optimizer;  ///< Over the sharding's space.
};

/// Carries out updates: micro-batches forward and backward, reduction, norm, clipping, optimizer. An update is started,
/// and finished when its numbers are asked for.
class UpdateStep {
 public:
  virtual ~UpdateStep() = default;

  /// Starts update number `update` (from 1).
  virtual void start(const GlobalBatch& batch, int64_t update, double learning_rate) = 0;
  /// Waits for the oldest update that was started. Throws DataError where its loss or gradient norm is not finite: the
  /// optimizer has then changed nothing, unless it goes along with the backward pass and the loss is finite.
  virtual UpdateResult finish() = 0;
  /// Whether the next update may be started before this one is finished.
  virtual bool runs_ahead() const = 0;
  /// The state of a dynamic loss scale; none where there is none. Asked while no update is under way.
  virtual std::optional<ops::LossScaleState> loss_scale() const { return std::nullopt; }
  virtual void restore(const ops::LossScaleState&) {}
  /// What a GPU was kept busy with; none on a CPU.
  virtual std::optional<GpuWork> gpu_work() const { return std::nullopt; }
};

/// Makes the step for the model's device and the optimizer.
std::unique_ptr<UpdateStep> make_update_step(const UpdateParts& parts);

/// The step that reads each number as soon as it is there, on any device and with any optimizer.
std::unique_ptr<UpdateStep> make_plain_update_step(const UpdateParts& parts);

/// The scope that train.recompute and the sharding ask for; null: blocks run plainly.
std::unique_ptr<ops::BlockScope> make_block_scope(const UpdateParts& parts);

/// An update whose loss or gradient norm is not finite.
struct BadUpdate {
  int64_t update = 0;
  const char* what = "";  ///< `loss` or `gradient norm`
  double value = 0.0;
  std::string block;  ///< Where it is not finite first; may be empty.
  std::vector<int64_t> examples;
};

/// Throws DataError that says all of it.
[[noreturn]] void refuse_update(const BatchSource& batches, const BadUpdate& bad);

/// torch.nn.utils.clip_grad_norm_ adds this to the norm.
inline constexpr double kClipEpsilon = 1e-6;

}  // namespace txtsum::train
