#include "sharding.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "arena_gradients.h"
#include "arena_values.h"
#include "gradient_slots.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/host_memory.h"
#include "value_slots.h"

namespace txtsum::train {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;

int64_t bytes_of(const at::Tensor& tensor) { return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0; }

/// The blocks of the trainable or the frozen range.
std::vector<parallel::BlockRange> blocks_of(const model::ArenaLayout& layout, bool trainable) {
  std::vector<parallel::BlockRange> blocks;
  for (int64_t block = 0; block < layout.block_count(); ++block) {
    const model::ArenaRange range = layout.block_range(block, trainable);
    if (range.numel() > 0) blocks.push_back({block, {range.begin, range.end}});
  }
  return blocks;
}

parallel::ShardPlan plan_of(const model::Arena& arena, const parallel::Communicator& communicator, bool trainable) {
  return shard_plan_of(arena.layout(), arena.dtype(), communicator.rank(), communicator.world(), trainable);
}

/// Spans of the arena, cut by what the rank has; what lies between is frozen.
std::vector<ops::UpdateSpan> spans_of(const std::vector<model::UpdateRange>& ranges, const parallel::ShardPlan& plan) {
  std::vector<ops::UpdateSpan> spans;
  const auto fill_to = [&](int64_t end) {
    const int64_t begin = spans.empty() ? 0 : spans.back().end;
    if (begin < end) spans.push_back({begin, end, /*decay=*/false, /*frozen=*/true});
  };
  for (const parallel::OwnedRange& owned : plan.owned()) {
    for (const model::UpdateRange& range : ranges) {
      const int64_t begin = std::max(range.begin, owned.range.begin), end = std::min(range.end, owned.range.end);
      if (begin >= end) continue;
      const int64_t local = owned.local + begin - owned.range.begin;
      fill_to(local);
      ops::UpdateSpan* last = spans.empty() ? nullptr : &spans.back();
      if (last != nullptr && last->decay == range.decay && last->frozen == range.frozen) {
        last->end = local + end - begin;
      } else {
        spans.push_back({local, local + end - begin, range.decay, range.frozen});
      }
    }
  }
  fill_to(plan.shard_numel());
  return spans;
}

std::vector<SpacePiece> pieces_of(const model::ArenaLayout& layout, const parallel::ShardPlan& plan) {
  std::vector<SpacePiece> pieces;
  for (const parallel::OwnedRange& owned : plan.owned()) {
    for (const model::ArenaEntry& entry : layout.entries()) {
      if (!entry.in_trainable_range) continue;
      const int64_t begin = std::max(entry.offset, owned.range.begin),
                    end = std::min(entry.offset + entry.numel, owned.range.end);
      if (begin < end) {
        pieces.push_back({&entry, begin - entry.offset, end - begin, owned.local + begin - owned.range.begin});
      }
    }
  }
  return pieces;
}

}  // namespace

parallel::ShardPlan shard_plan_of(const model::ArenaLayout& layout, at::ScalarType weights, int64_t rank, int64_t world,
                                  bool trainable) {
  const int64_t bucket = kBucketMib * kMib / static_cast<int64_t>(c10::elementSize(weights));
  return parallel::ShardPlan(blocks_of(layout, trainable), world, rank, bucket);
}

int64_t largest_block(const model::ArenaLayout& layout, bool with_frozen) {
  int64_t largest = 0;
  for (int64_t block = 1; block < layout.block_count(); ++block) {
    const int64_t frozen = with_frozen ? layout.block_range(block, false).numel() : 0;
    largest = std::max(largest, layout.block_range(block, true).numel() + frozen);
  }
  return largest;
}

WholeWeights::WholeWeights(Sharding& sharding) : sharding_(sharding) {
  if (sharding_.values_) sharding_.values_->gather_all();
}

WholeWeights::~WholeWeights() {
  if (sharding_.values_) sharding_.values_->release_all();
}

Sharding::Sharding(model::Arena& arena, parallel::Communicator& communicator, const config::ParallelConfig& config,
                   at::ScalarType gradient_type)
    : arena_(arena),
      communicator_(communicator),
      stage_(config.zero_stage),
      offload_(config.offload),
      gradient_type_(gradient_type),
      plan_(plan_of(arena, communicator, /*trainable=*/true)) {
  const at::NoGradGuard no_grad;
  const bool values_on_host = offload_ == config::Offload::kOptimizerAndParameters;
  TXTSUM_CHECK(!values_on_host || stage_ >= 3, "stage ", stage_, " has no shards of the weights");
  const model::ArenaLayout& layout = arena.layout();
  const at::TensorOptions of_gradients = arena.options().dtype(gradient_type);
  own_spans_ = spans_of(layout.update_ranges(), plan_);
  if (stage_ < 2) arena.allocate_gradients(gradient_type);
  if (stage_ == 0) {
    space_ = whole_space(arena);
    space_.offload = offload_;
    if (spread()) reduced_ = at::zeros({plan_.shard_numel()}, of_gradients);
    gradients_ = std::make_unique<ArenaGradients>(arena, communicator, plan_, reduced_,
                                                  ArenaGradients::Options{.gathers = spread()});
    return;
  }
  space_.numel = plan_.shard_numel();
  space_.offload = offload_;
  space_.working = shard_of(arena.values(), plan_, values_on_host);
  space_.gradients = at::zeros({space_.numel}, of_gradients);
  space_.spans = own_spans_;
  space_.pieces = pieces_of(layout, plan_);
  if (stage_ == 1) {
    gradients_ = std::make_unique<ArenaGradients>(arena, communicator, plan_, space_.gradients,
                                                  ArenaGradients::Options{.gathers = false});
  } else {
    gradients_ = std::make_unique<GradientSlots>(arena, communicator, plan_, space_.gradients);
  }
  if (stage_ == 3) {
    spread_values();
  } else {
    values_ = std::make_unique<ArenaValues>(arena, communicator, plan_, space_.working);
  }
}

Sharding::~Sharding() = default;

void Sharding::spread_values() {
  frozen_plan_ = std::make_unique<parallel::ShardPlan>(plan_of(arena_, communicator_, /*trainable=*/false));
  const bool on_host = offload_ == config::Offload::kOptimizerAndParameters;
  frozen_ = shard_of(arena_.values(), *frozen_plan_, on_host);
  values_ = std::make_unique<ValueSlots>(arena_, communicator_, ValueSlots::Shards{plan_, space_.working},
                                         ValueSlots::Shards{*frozen_plan_, frozen_}, on_host);
}

void Sharding::mark_gradients() {
  marks_ = std::make_unique<GradientMarks>(arena_.layout(), whole() ? nullptr : &plan_, arena_.device());
  gradients_->set_marks(*marks_);
}

at::Tensor Sharding::part_of(const at::Tensor& trainable) const {
  if (!trainable.defined() || stage_ == 0) return trainable;
  return shard_of(trainable, plan_, /*on_host=*/false);
}

at::Tensor Sharding::shard_of(const at::Tensor& arena, const parallel::ShardPlan& plan, bool on_host) const {
  const at::Tensor shard = on_host ? ops::host_zeros(plan.shard_numel(), arena.scalar_type(), arena_.device())
                                   : at::zeros({plan.shard_numel()}, arena.options());
  for (const parallel::OwnedRange& owned : plan.owned()) {
    shard.narrow(0, owned.local, owned.range.numel()).copy_(arena.narrow(0, owned.range.begin, owned.range.numel()));
  }
  return shard;
}

std::vector<HeldStretch> Sharding::holders(const model::ArenaEntry& entry) const {
  const parallel::ShardPlan* spread = stage_ == 0 ? nullptr : &plan_;
  if (!entry.in_trainable_range) spread = frozen_plan_.get();
  if (spread == nullptr) return {{0, 0, entry.numel, entry.offset}};
  std::vector<HeldStretch> stretches;
  for (const parallel::Bucket& bucket : spread->buckets_of(entry.block)) {
    for (int64_t rank = 0; rank < spread->world(); ++rank) {
      const parallel::Part part = spread->part(bucket, rank);
      const int64_t begin = std::max(entry.offset, part.begin), end = std::min(entry.offset + entry.numel, part.end);
      if (begin < end)
        stretches.push_back({rank, begin - entry.offset, end - begin, bucket.local + begin - part.begin});
    }
  }
  return stretches;
}

void Sharding::begin_update(int64_t micro_batches) { gradients_->begin_update(micro_batches); }

void Sharding::begin_micro_batch(const MicroBatchPlace& place) {
  if (values_) values_->begin_micro_batch(place.first);
  if (marks_) marks_->begin_micro_batch(place.last);
  gradients_->begin_micro_batch(place);
}

void Sharding::end_micro_batch() {
  gradients_->end_micro_batch();
  if (marks_) marks_->end_micro_batch();
  if (values_) values_->end_micro_batch();
}

double Sharding::square_sum() {
  std::vector<double> sum{ops::gradient_square_sum(own_gradients(), own_spans_)};
  communicator_.all_reduce(sum);
  return sum[0];
}

at::Tensor Sharding::summed(const at::Tensor& numbers) const {
  if (communicator_.world() == 1) return numbers;
  constexpr int64_t kRoom = 8;  // what parts are multiples of
  TXTSUM_CHECK(numbers.numel() <= kRoom, numbers.numel());
  const at::Tensor own = at::constant_pad_nd(numbers, {0, kRoom - numbers.numel()});
  const at::Tensor all = at::empty({communicator_.world() * kRoom}, own.options());
  communicator_.wait(communicator_.all_gather(own, all));
  return all.view({communicator_.world(), kRoom}).narrow(1, 0, numbers.numel()).sum(0);
}

void Sharding::weights_changed() {
  if (values_) values_->shards_changed();
}

int64_t Sharding::value_bytes() const {
  // From stage 1 on the part that the optimizer updates is kept apart, and may be in host memory.
  int64_t bytes = values_ ? values_->bytes() : bytes_of(arena_.values());
  if (stage_ > 0 && space_.working.device() == arena_.device()) bytes += bytes_of(space_.working);
  return bytes;
}

int64_t Sharding::gradient_bytes() const {
  return gradients_->bytes() + (stage_ > 0 ? bytes_of(space_.gradients) : bytes_of(reduced_));
}

int64_t Sharding::offloaded_value_bytes() const { return values_ ? values_->offloaded_bytes() : 0; }

void Sharding::enter(int64_t block, Pass pass) {
  if (values_) values_->enter(block, pass);
  if (pass == Pass::kBackward) gradients_->enter(block);
}

void Sharding::leave(int64_t block, Pass pass) {
  if (pass == Pass::kBackward) gradients_->leave(block);
  if (values_) values_->leave(block);
}

}  // namespace txtsum::train
