#pragma once

#include <cstdint>

#include "gradient_marks.h"
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
  /// Has these marks reached when a block's sums are there, one block later at most; they must outlive it.
  void set_marks(GradientMarks& marks) { marks_ = &marks; }

 protected:
  void reach_mark(int64_t block) {
    if (marks_ != nullptr) marks_->reach(block);
  }
  bool has_marks() const { return marks_ != nullptr; }

 private:
  GradientMarks* marks_ = nullptr;
};

}  // namespace txtsum::train
