#include "gradient_marks.h"

#include <algorithm>

namespace txtsum::train {

GradientMarks::GradientMarks(const model::ArenaLayout& layout, const parallel::ShardPlan* shards,
                             const c10::Device& device) {
  for (int64_t block = layout.block_count() - 1; block >= 0; --block) {
    const model::ArenaRange range = layout.block_range(block, /*trainable=*/true);
    if (range.numel() == 0) continue;
    const int64_t begin = shards == nullptr ? range.begin : shards->buckets_of(block).front().local;
    marks_.push_back({begin, ops::CopyMark(device)});
    blocks_.push_back(block);
  }
}

void GradientMarks::begin_micro_batch(bool last) {
  last_ = last;
  reached_.assign(marks_.size(), false);
}

void GradientMarks::reach(int64_t block) {
  const auto found = std::find(blocks_.begin(), blocks_.end(), block);
  if (last_ && found != blocks_.end()) reach_mark(static_cast<size_t>(found - blocks_.begin()));
}

void GradientMarks::end_micro_batch() {
  for (size_t i = 0; last_ && i < marks_.size(); ++i) {
    if (!reached_[i]) reach_mark(i);
  }
}

void GradientMarks::reach_mark(size_t index) {
  marks_[index].mark.move_to_current();
  reached_[index] = true;
}

}  // namespace txtsum::train
