#pragma once

#include <cstdint>

#include "micro_batch_place.h"

namespace txtsum::train {

/// How gradients become sums over the ranks, each rank with its part of them: block by block, while the backward pass
/// goes on. A CUDA graph can hold a micro-batch.
class BlockGradients {
 public:
  virtual ~BlockGradients() = default;
  /// Outside of a graph; what follows may be in one.
  virtual void begin_update(int64_t micro_batches) = 0;
  virtual void begin_micro_batch(const MicroBatchPlace& place) = 0;
  /// A block's gradients are going to be added to; all of them have been.
  virtual void enter(int64_t block) = 0;
  virtual void leave(int64_t block) = 0;
  /// Starts what is left, and waits. Behind the last micro-batch the sums are there.
  virtual void end_micro_batch() = 0;
  /// Of the memory that blocks are given.
  virtual int64_t bytes() const = 0;
};

}  // namespace txtsum::train
