#pragma once

#include <cstdint>

#include "txtsum/train/training_scope.h"

namespace txtsum::train {

/// How all ranks get the weights that each has updated a part of: block by block, ahead of the pass that needs them.
/// A CUDA graph can hold a micro-batch.
class BlockValues {
 public:
  virtual ~BlockValues() = default;
  /// The weights of this rank's part are new.
  virtual void shards_changed() = 0;
  /// `first` since shards_changed().
  virtual void begin_micro_batch(bool first) = 0;
  virtual void enter(int64_t block, Pass pass) = 0;
  virtual void leave(int64_t block) = 0;
  virtual void end_micro_batch() = 0;
  /// Has all weights in the arena, until release_all().
  virtual void gather_all() = 0;
  virtual void release_all() = 0;
  /// Of the memory that weights have besides the part that is updated.
  virtual int64_t bytes() const = 0;
  /// Of weights that lie in host memory beside a GPU.
  virtual int64_t offloaded_bytes() const { return 0; }
};

}  // namespace txtsum::train
