#pragma once

#include <cstdint>

namespace txtsum::train {

/// How gradients become sums over the ranks, each rank with its part of them: block by block, while the backward pass
/// goes on. A CUDA graph can hold a micro-batch.
class BlockGradients {
 public:
  virtual ~BlockGradients() = default;
  virtual void begin_update() = 0;
  /// `last` of the update.
  virtual void begin_micro_batch(bool last) = 0;
  /// A block's gradients are going to be added to; all of them have been.
  virtual void enter(int64_t block) = 0;
  virtual void leave(int64_t block) = 0;
  /// Starts what is left, and waits. Behind the last micro-batch the sums are there.
  virtual void end_micro_batch() = 0;
  /// Of the memory that blocks are given.
  virtual int64_t bytes() const = 0;
};

}  // namespace txtsum::train
