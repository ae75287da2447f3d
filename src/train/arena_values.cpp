#include "arena_values.h"

#include <ATen/ATen.h>

#include <utility>

namespace txtsum::train {

ArenaValues::ArenaValues(model::Arena& arena, parallel::Communicator& communicator, const parallel::ShardPlan& plan,
                         at::Tensor shard)
    : arena_(arena),
      communicator_(communicator),
      plan_(plan),
      shard_(std::move(shard)),
      tickets_(static_cast<size_t>(arena.layout().block_count())) {}

void ArenaValues::begin_micro_batch(bool first) {
  if (!first) return;
  start();
  wait(0);
}

void ArenaValues::enter(int64_t block, Pass pass) {
  if (pass == Pass::kForward) wait(block);
}

void ArenaValues::end_micro_batch() {
  for (int64_t block = 0; block < static_cast<int64_t>(tickets_.size()); ++block) wait(block);
}

void ArenaValues::gather_all() {
  if (!is_stale_) return;
  start();
  end_micro_batch();
}

void ArenaValues::start() {
  is_stale_ = false;
  for (const parallel::Bucket& bucket : plan_.buckets()) {
    tickets_[static_cast<size_t>(bucket.block)].push_back(
        communicator_.all_gather(shard_.narrow(0, bucket.local, plan_.part(bucket).numel()),
                                 arena_.values().narrow(0, bucket.range.begin, bucket.range.numel())));
  }
}

void ArenaValues::wait(int64_t block) {
  std::vector<parallel::TicketRef>& tickets = tickets_[static_cast<size_t>(block)];
  for (const parallel::TicketRef& ticket : tickets) communicator_.wait(ticket);
  tickets.clear();
}

int64_t ArenaValues::bytes() const { return static_cast<int64_t>(arena_.values().nbytes()); }

}  // namespace txtsum::train
