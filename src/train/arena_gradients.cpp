#include "arena_gradients.h"

#include <ATen/ATen.h>

#include <utility>

namespace txtsum::train {

ArenaGradients::ArenaGradients(model::Arena& arena, parallel::Communicator& communicator,
                               const parallel::ShardPlan& plan, at::Tensor shard, Options options)
    : arena_(arena), communicator_(communicator), plan_(plan), shard_(std::move(shard)), options_(options) {}

void ArenaGradients::begin_update(int64_t micro_batches) {
  if (micro_batches > 1) arena_.zero_gradients();
}

void ArenaGradients::begin_micro_batch(const MicroBatchPlace& place) {
  last_ = place.last;
  reduced_.assign(static_cast<size_t>(arena_.layout().block_count()), false);
  if (!place.alone()) return;
  for (int64_t block = 0; block < arena_.layout().block_count(); ++block) arena_.clear_gradients(block);
}

void ArenaGradients::leave(int64_t block) {
  if (!last_ || block == 0) return;
  if (has_marks()) settle();  // The sums of the block before had this one's pass.
  reduce(block);
}

void ArenaGradients::end_micro_batch() {
  if (!last_) return;
  // Block 0 is added to from everywhere; others may have had no backward pass.
  for (int64_t block = arena_.layout().block_count() - 1; block >= 0; --block) {
    if (!reduced_[static_cast<size_t>(block)]) reduce(block);
  }
  settle();
}

void ArenaGradients::settle() {
  for (const parallel::TicketRef& ticket : tickets_) communicator_.wait(ticket);
  tickets_.clear();
  for (const int64_t block : summing_) reach_mark(block);
  summing_.clear();
}

void ArenaGradients::reduce(int64_t block) {
  reduced_[static_cast<size_t>(block)] = true;
  arena_.settle_gradients(block);
  if (!shard_.defined()) return reach_mark(block);
  summing_.push_back(block);
  for (const parallel::Bucket& bucket : plan_.buckets_of(block)) {
    const at::Tensor all = arena_.gradients().narrow(0, bucket.range.begin, bucket.range.numel());
    const at::Tensor part = shard_.narrow(0, bucket.local, plan_.part(bucket).numel());
    tickets_.push_back(communicator_.reduce_scatter(all, part));
    if (options_.gathers) tickets_.push_back(communicator_.all_gather(part, all));
  }
}

int64_t ArenaGradients::bytes() const { return static_cast<int64_t>(arena_.gradients().nbytes()); }

}  // namespace txtsum::train
