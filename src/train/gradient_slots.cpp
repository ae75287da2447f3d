#include "gradient_slots.h"

#include <ATen/ATen.h>

#include <utility>

#include "sharding.h"

namespace txtsum::train {

GradientSlots::GradientSlots(model::Arena& arena, parallel::Communicator& communicator, const parallel::ShardPlan& plan,
                             at::Tensor shard)
    : arena_(arena), communicator_(communicator), plan_(plan), shard_(std::move(shard)) {
  const model::ArenaLayout& layout = arena.layout();
  const int64_t largest = largest_block(layout, /*with_frozen=*/false);
  arena.place_gradients_by_block();
  resident_.memory = at::empty({layout.block_range(0, true).numel()}, shard_.options());
  arena.place_gradients(0, resident_.memory);
  for (Slot& slot : slots_) slot.memory = at::empty({largest}, shard_.options());
}

void GradientSlots::begin_micro_batch(const MicroBatchPlace& place) {
  first_ = place.first;
  has_sums_.assign(static_cast<size_t>(arena_.layout().block_count()), false);
  arena_.clear_gradients(0);
}

void GradientSlots::enter(int64_t block) {
  const int64_t numel = arena_.layout().block_range(block, true).numel();
  if (block == 0 || numel == 0) return;
  Slot& slot = slots_[next_];
  settle(slot);
  arena_.place_gradients(block, slot.memory.narrow(0, 0, numel));
  arena_.clear_gradients(block);
}

void GradientSlots::leave(int64_t block) {
  if (block == 0 || arena_.layout().block_range(block, true).numel() == 0) return;
  reduce(block, slots_[next_]);
  arena_.place_gradients(block, {});
  next_ = (next_ + 1) % slots_.size();
}

void GradientSlots::end_micro_batch() {
  if (resident_.memory.numel() > 0) reduce(0, resident_);
  for (Slot& slot : slots_) settle(slot);
  settle(resident_);
  if (!first_) return;
  for (const parallel::Bucket& bucket : plan_.buckets()) {  // Of blocks that had no backward pass.
    if (!has_sums_[static_cast<size_t>(bucket.block)]) {
      shard_.narrow(0, bucket.local, plan_.part(bucket).numel()).zero_();
    }
  }
}

void GradientSlots::reduce(int64_t block, Slot& slot) {
  arena_.settle_gradients(block);
  has_sums_[static_cast<size_t>(block)] = true;
  slot.block = block;
  const int64_t begin = arena_.layout().block_range(block, true).begin;
  for (const parallel::Bucket& bucket : plan_.buckets_of(block)) {
    Sum sum;
    sum.place = shard_.narrow(0, bucket.local, plan_.part(bucket).numel());
    if (!first_) sum.part = at::empty_like(sum.place);
    sum.ticket = communicator_.reduce_scatter(slot.memory.narrow(0, bucket.range.begin - begin, bucket.range.numel()),
                                              first_ ? sum.place : sum.part);
    slot.sums.push_back(std::move(sum));
  }
}

void GradientSlots::settle(Slot& slot) {
  if (slot.sums.empty()) return;
  for (const Sum& sum : slot.sums) {
    communicator_.wait(sum.ticket);
    if (sum.part.defined()) at::Tensor(sum.place).add_(sum.part);
  }
  slot.sums.clear();
  reach_mark(slot.block);
}

int64_t GradientSlots::bytes() const {
  size_t bytes = resident_.memory.nbytes();
  for (const Slot& slot : slots_) bytes += slot.memory.nbytes();
  return static_cast<int64_t>(bytes);
}

}  // namespace txtsum::train
