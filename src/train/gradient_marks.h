#pragma once

#include <cstdint>
#include <vector>

#include "txtsum/model/arena.h"
#include "txtsum/ops/offloaded_update.h"
#include "txtsum/parallel/shard_plan.h"

namespace txtsum::train {

/// Where in a GPU's work the gradients of each block are there, in an update's last micro-batch: for an optimizer that
/// goes along with the backward pass. A CUDA graph can hold a micro-batch, and moves the marks at each replay.
class GradientMarks {
 public:
  /// `shards`: how gradients lie in the optimizer's space; null: as in the arena.
  GradientMarks(const model::ArenaLayout& layout, const parallel::ShardPlan* shards, const c10::Device& device);

  void begin_micro_batch(bool last);
  /// What the current stream has been asked for makes the block's gradients, and has no more use for its weights.
  void reach(int64_t block);
  /// Marks of blocks that were not reached are here.
  void end_micro_batch();
  /// From the last block down.
  const std::vector<ops::GradientMark>& all() const { return marks_; }

 private:
  void reach_mark(size_t index);

  std::vector<ops::GradientMark> marks_;
  std::vector<int64_t> blocks_;  // of the marks
  std::vector<bool> reached_;
  bool last_ = false;
};

}  // namespace txtsum::train
