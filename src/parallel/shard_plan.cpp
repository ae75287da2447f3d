#include "txtsum/parallel/shard_plan.h"

#include <algorithm>

#include "txtsum/core/check.h"

namespace txtsum::parallel {
namespace {

/// Parts begin at multiples of it in a shard.
constexpr int64_t kUnit = 8;

int64_t round_up(int64_t value) { return (value + kUnit - 1) / kUnit * kUnit; }

}  // namespace

ShardPlan::ShardPlan(const std::vector<BlockRange>& blocks, int64_t world, int64_t rank, int64_t bucket_elements)
    : world_(world), rank_(rank) {
  TXTSUM_CHECK(world >= 1 && rank >= 0 && rank < world, rank, " of ", world);
  const int64_t unit = kUnit * world, longest = std::max(bucket_elements / unit, int64_t{1}) * unit;
  int64_t before = 0;
  for (const BlockRange& block : blocks) {
    TXTSUM_CHECK(block.range.begin >= before && block.range.end >= block.range.begin, block.block);
    before = block.range.end;
    for (int64_t begin = block.range.begin; begin < block.range.end; begin += longest) {
      const Bucket bucket{block.block, {begin, std::min(begin + longest, block.range.end)}, shard_numel_};
      buckets_.push_back(bucket);
      const Part own = part(bucket);
      if (own.numel() > 0) owned_.push_back({own, shard_numel_});
      shard_numel_ += round_up(part_length(bucket.range.numel(), world));
    }
  }
}

std::span<const Bucket> ShardPlan::buckets_of(int64_t block) const {
  const auto [begin, end] = std::ranges::equal_range(buckets_, block, {}, &Bucket::block);
  return {begin, end};
}

Part ShardPlan::part(const Bucket& bucket, int64_t rank) const {
  const Part within = part_of(bucket.range.numel(), world_, rank);
  return {bucket.range.begin + within.begin, bucket.range.begin + within.end};
}

}  // namespace txtsum::parallel
