#include "value_slots.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "sharding.h"
#include "txtsum/core/check.h"

namespace txtsum::train {

ValueSlots::ValueSlots(model::Arena& arena, parallel::Communicator& communicator, const Shards& trainable,
                       const Shards& frozen, bool on_host)
    : arena_(arena), communicator_(communicator), trainable_(trainable), frozen_(frozen) {
  if (on_host) uploads_.emplace(arena.device());
  const int64_t largest = largest_block(arena.layout(), /*with_frozen=*/true);
  arena.place_values_by_block();
  for (Slot& slot : slots_) slot.memory = at::empty({largest}, arena.options());
  resident_.memory = at::empty({numel(0, true) + numel(0, false)}, arena.options());
  shards_changed();
}

void ValueSlots::forget() {
  for (Slot& slot : slots_) {
    wait(slot);
    slot.block = -1;
  }
  oldest_ = 0;
}

void ValueSlots::shards_changed() {
  forget();
  start_gather(resident_, 0);
  wait(resident_);
  place(0, resident_.memory);
}

void ValueSlots::enter(int64_t block, Pass pass) {
  if (block == 0 || !all_.empty()) return;
  Slot* slot = find(block);
  if (slot == nullptr) slot = &gather(block, nullptr);
  wait(*slot);
  place(block, slot->memory);
  const int64_t next = pass == Pass::kForward ? block + 1 : block - 1;
  const bool exists = next > 0 && next < arena_.layout().block_count();
  if (exists && find(next) == nullptr) gather(next, slot);
}

void ValueSlots::leave(int64_t block) {
  if (block != 0 && all_.empty()) place(block, {});
}

ValueSlots::Slot* ValueSlots::find(int64_t block) {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.block == block; });
  return found == slots_.end() ? nullptr : &*found;
}

ValueSlots::Slot& ValueSlots::gather(int64_t block, const Slot* kept) {
  if (&slots_[oldest_] == kept) oldest_ = (oldest_ + 1) % slots_.size();
  Slot& slot = slots_[oldest_];
  oldest_ = (oldest_ + 1) % slots_.size();
  wait(slot);
  start_gather(slot, block);
  return slot;
}

void ValueSlots::start_gather(Slot& slot, int64_t block) {
  slot.block = block;
  if (!uploads_) return gather_buckets(slot, block);
  // The slot may still be read by what is on the current stream by now. Collectives follow the copies, since those are
  // on the stream that is then the current one.
  uploads_->follow_current();
  uploads_->run([&] { gather_buckets(slot, block); });
  slot.uploaded = uploads_->mark();
}

void ValueSlots::gather_buckets(Slot& slot, int64_t block) {
  int64_t behind = 0;
  for (const bool trainable : {true, false}) {
    const Shards& from = trainable ? trainable_ : frozen_;
    const model::ArenaRange range = arena_.layout().block_range(block, trainable);
    for (const parallel::Bucket& bucket : from.plan.buckets_of(block)) {
      const parallel::Part own = from.plan.part(bucket);
      at::Tensor part = from.shard.narrow(0, bucket.local, own.numel());
      const at::Tensor values = slot.memory.narrow(0, behind + bucket.range.begin - range.begin, bucket.range.numel());
      if (uploads_) {
        const at::Tensor place = values.narrow(0, own.begin - bucket.range.begin, own.numel());
        uploads_->copy(part, place);
        part = place;
      }
      slot.tickets.push_back(communicator_.all_gather(part, values));
    }
    behind += range.numel();
  }
}

void ValueSlots::wait(Slot& slot) {
  for (const parallel::TicketRef& ticket : slot.tickets) communicator_.wait(ticket);
  slot.tickets.clear();
  if (slot.uploaded) slot.uploaded->block_current();
  slot.uploaded.reset();
}

void ValueSlots::place(int64_t block, const at::Tensor& memory) {
  int64_t behind = 0;
  for (const bool trainable : {true, false}) {
    const int64_t count = numel(block, trainable);
    arena_.place_values(block, trainable, memory.defined() ? memory.narrow(0, behind, count) : memory);
    behind += count;
  }
}

void ValueSlots::gather_all() {
  TXTSUM_CHECK(all_.empty(), "all weights are there");
  for (int64_t block = 1; block < arena_.layout().block_count(); ++block) {
    Slot slot;
    slot.memory = at::empty({numel(block, true) + numel(block, false)}, arena_.options());
    start_gather(slot, block);
    all_.push_back(std::move(slot));
  }
  for (Slot& slot : all_) {
    wait(slot);
    place(slot.block, slot.memory);
  }
}

void ValueSlots::release_all() {
  for (const Slot& slot : all_) place(slot.block, {});
  all_.clear();
}

int64_t ValueSlots::bytes() const {
  size_t bytes = resident_.memory.nbytes();
  if (frozen_.shard.device() == arena_.device()) bytes += frozen_.shard.nbytes();
  for (const Slot& slot : slots_) bytes += slot.memory.nbytes();
  return static_cast<int64_t>(bytes);
}

int64_t ValueSlots::offloaded_bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& shard : {trainable_.shard, frozen_.shard}) {
    if (shard.device() != arena_.device()) bytes += static_cast<int64_t>(shard.nbytes());
  }
  return bytes;
}

}  // namespace txtsum::train
