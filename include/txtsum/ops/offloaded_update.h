#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "txtsum/ops/adamw_update.h"
#include "txtsum/ops/device_copy.h"

namespace txtsum::ops {

/// Gradients from element `begin` on, up to those of the mark before it, are there behind `mark`, and nothing behind it
/// reads their weights.
struct GradientMark {
  int64_t begin = 0;
  CopyMark mark;
};

/// AdamW of masters and moments in host memory, by the CPU, with gradients and weights that lie on a GPU. It goes
/// through the arenas in chunks, from their ends on, as a backward pass does: while the CPU updates one, the next one's
/// gradients come to the host and the last one's weights go back. Staging areas for a few chunks are all that it holds.
/// Bits are adamw_update's. On a CPU it is the same with plain copies.
class OffloadedUpdate {
 public:
  /// Elements of a chunk: long against what starting threads and copies takes, and little memory.
  static constexpr int64_t kChunk = int64_t{1} << 22;

  /// `spans` as adamw_update takes them; `device` is where gradients and weights lie, `gradient_type` and
  /// `working_type` what they are.
  OffloadedUpdate(const std::vector<UpdateSpan>& spans, const c10::Device& device, at::ScalarType gradient_type,
                  at::ScalarType working_type);
  ~OffloadedUpdate();

  /// `tensors`: masters and moments are host_zeros; gradients are those on the device; working, where it is defined, is
  /// host memory too, and written as adamw_update writes it. Where `device_weights` is defined, the new weights of all
  /// elements that learn are copied there, in its type (working is undefined then). It begins after what is on the
  /// current stream, and what is put there later comes after it; the host waits for all but the last copies.
  ///
  /// With `marks`, descending to 0, it waits for no more than them, beside what the GPU computes. Where the last
  /// chunk's gradients are not finite, as those behind a loss that is no number, it changes nothing.
  void run(const AdamWTensors& tensors, const at::Tensor& device_weights, const AdamWScalars& scalars,
           const std::vector<GradientMark>& marks = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace txtsum::ops
