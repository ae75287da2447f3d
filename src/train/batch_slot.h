#pragma once

#include <c10/core/TensorOptions.h>

#include <cstdint>

#include "bucket.h"
#include "txtsum/ops/device_copy.h"

namespace txtsum::train {

/// The place on a device that micro-batches of one bucket are copied to, one after the other: its tensors lie still, so
/// that a captured graph can read them.
class BatchSlot {
 public:
  /// Micro-batches have the encoder's outputs where `encoded_width` is more than 0: of that width, of `options`' type.
  BatchSlot(const Bucket& bucket, const at::TensorOptions& options, int64_t encoded_width = 0);

  /// Copies a micro-batch of the bucket's shape (on the CPU) and what dropout is drawn from, without waiting: on its
  /// way to the device while that still computes on what was in the slot.
  void fill(const MicroBatch& padded, uint64_t seed, int64_t update, ops::DeviceCopies& copies);

  const MicroBatch& batch() const { return batch_; }
  /// See ops::DropoutKey::words_2.
  const at::Tensor& dropout_words_2() const { return words_2_; }

 private:
  at::Tensor bytes_;  // everything below is a view of it
  MicroBatch batch_;
  at::Tensor words_2_;
};

}  // namespace txtsum::train
