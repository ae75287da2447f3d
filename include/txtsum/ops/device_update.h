#pragma once

#include <memory>
#include <vector>

#include "txtsum/ops/adamw_update.h"

namespace txtsum::ops {

/// What one update measured: means over its target tokens.
struct DeviceUpdateNumbers {
  double loss = 0.0, nll = 0.0;
  double gradient_norm = 0.0;   ///< Before clipping. Where it or the loss is not finite, nothing was updated.
  double seconds = 0.0;         ///< GPU time from begin() to the end of the update.
  double waited_seconds = 0.0;  ///< Before that, in which the GPU had nothing to do; 0 for the first update.
};

/// Updates on a GPU that never wait for the host, nor the host for them: norm, clipping and AdamW follow each other on
/// the current stream, and their numbers are read when they have come.
class DeviceUpdate {
 public:
  /// `spans` as adamw_update takes them. In a binary without code for GPUs it throws InternalError.
  explicit DeviceUpdate(const std::vector<UpdateSpan>& spans);
  ~DeviceUpdate();

  /// Marks where an update's work begins on the stream.
  void begin();
  /// Asks for the update. `loss_sums_2`: fp64, on the GPU: loss and nll summed over the tokens. `scalars`'
  /// gradient_factor is 1 / tokens; `clip_norm` 0 means no clipping, `clip_epsilon` is added to the norm that divides.
  void start(const AdamWTensors& tensors, const AdamWScalars& scalars, const at::Tensor& loss_sums_2, double clip_norm,
             double clip_epsilon);
  /// Waits for the oldest update that was started and not yet finished.
  DeviceUpdateNumbers finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace txtsum::ops
