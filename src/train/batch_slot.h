#pragma once

#include <cstdint>

#include "bucket.h"
#include "txtsum/ops/device_copy.h"

namespace txtsum::train {

/// The place on a device that micro-batches of one bucket are copied to, one after the other: its tensors lie still, so
/// that a captured graph can read them.
class BatchSlot {
 public:
  /// `encoded_room` is where the encoder's outputs go, for micro-batches that have them: [as many rows as the bucket
  /// has source tokens, or more; D], on the device. Slots may share it, since one is filled after the other.
  BatchSlot(const Bucket& bucket, const at::Device& device, const at::Tensor& encoded_room = {});

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
