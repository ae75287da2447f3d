#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "txtsum/ops/adamw_update.h"

namespace txtsum::ops {

/// The dynamic loss scale of fp16, with torch.amp.GradScaler's rule: halved at an overflow (whose update is left out),
/// doubled after 2,000 updates without one.
struct LossScaleState {
  double scale = 65536.0;    ///< Of the mean loss.
  int64_t good_updates = 0;  ///< Since the scale changed.
  int64_t left_out = 0;      ///< Updates that overflowed; they are no steps of the optimizer.
};

/// What one update measured: means over its target tokens.
struct DeviceUpdateNumbers {
  double loss = 0.0, nll = 0.0;
  double gradient_norm = 0.0;  ///< Before clipping. Where it or the loss is not finite, nothing was updated.
  double loss_scale = 1.0;     ///< That its gradients were made with.
  double next_loss_scale = 1.0;
  /// Where gradients are not finite: an element of the last stretch of the arena that has one; none on several ranks.
  std::optional<int64_t> bad_element;
  double seconds = 0.0;         ///< GPU time from begin() to the end of the update, or of measure().
  double waited_seconds = 0.0;  ///< Before and, up to resume(), after that, in which the GPU had nothing to do; before
                                ///< the first update 0.
};

/// Updates on a GPU that never wait for the host, nor the host for them: norm, clipping and AdamW follow each other on
/// the current stream, and their numbers are read when they have come.
class DeviceUpdate {
 public:
  /// `spans` as adamw_update takes them; `scales_loss`: gradients carry a dynamic loss scale. In a binary without code
  /// for GPUs it throws InternalError.
  DeviceUpdate(const std::vector<UpdateSpan>& spans, bool scales_loss);
  ~DeviceUpdate();

  /// Marks where an update's work begins on the stream, and sets loss_factor() for it.
  void begin(double per_token);
  /// fp32 [1], always in the same place: what every gradient is multiplied by, loss scale / tokens; undefined where
  /// loss is not scaled.
  const at::Tensor& loss_factor() const;
  /// What the norm is taken of, on several ranks: this rank's part of the gradients, and how sums over ranks are made
  /// of fp64 numbers on the GPU.
  struct OverRanks {
    at::Tensor gradients;
    const std::vector<UpdateSpan>* spans = nullptr;
    std::function<at::Tensor(const at::Tensor& numbers)> sum;
  };
  /// Asks for the update. `loss_sums_2`: fp64, on the GPU: loss and nll summed over the tokens. `scalars`'
  /// gradient_factor is 1 / tokens; `clip_norm` 0 means no clipping, `clip_epsilon` is added to the norm that divides.
  /// Without `ranks` the norm is that of the tensors' gradients.
  void start(const AdamWTensors& tensors, const AdamWScalars& scalars, const at::Tensor& loss_sums_2, double clip_norm,
             double clip_epsilon, const OverRanks* ranks = nullptr);
  /// The same for an optimizer that is not on the GPU: asks for norm and clipping alone. Between it and finish() come
  /// the optimizer's update and resume().
  void measure(const at::Tensor& gradients, const AdamWScalars& scalars, const at::Tensor& loss_sums_2,
               double clip_norm, double clip_epsilon, const OverRanks* ranks = nullptr);
  /// Waits for what measure() asked for. Returns `scalars` with what it makes of gradient_factor, and `update` without
  /// those that overflowed; none where the update is to be left out.
  std::optional<AdamWScalars> measured(const AdamWScalars& scalars) const;
  /// The optimizer has done what the current stream waits for.
  void resume();
  /// Waits for the oldest update that was started and not yet finished.
  DeviceUpdateNumbers finish();

  /// None where loss is not scaled. Waits for the GPU.
  std::optional<LossScaleState> loss_scale() const;
  /// Goes on from another run's state.
  void restore(const LossScaleState& state);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace txtsum::ops
