#include "txtsum/parallel/shard_plan.h"

#include <algorithm>

#include "txtsum/core/check.h"

namespace txtsum::parallel {
namespace {

constexpr int64_t kPartUnit = 8;

}  // namespace

int64_t part_length(int64_t numel, int64_t world) {
  const int64_t unit = kPartUnit * world;
  return (numel + unit - 1) / unit * kPartUnit;
}

Part part_of(int64_t numel, int64_t world, int64_t rank) {
  const int64_t length = part_length(numel, world), begin = std::min(rank * length, numel);
  return {begin, std::min(begin + length, numel)};
}

ShardPlan::ShardPlan(const std::vector<BlockRange>& blocks, int64_t world, int64_t rank, int64_t bucket_elements)
    : world_(world), rank_(rank) {
  TXTSUM_CHECK(world >= 1 && rank >= 0 && rank < world, rank, " of ", world);
  const int64_t unit = kPartUnit * world, longest = std::max(bucket_elements / unit, int64_t{1}) * unit;
  int64_t before = 0;
  for (const BlockRange& block : blocks) {
    TXTSUM_CHECK(block.range.begin >= before && block.range.end >= block.range.begin, block.block);
    before = block.range.end;
    largest_block_ = std::max(largest_block_, block.range.numel());
    for (int64_t begin = block.range.begin; begin < block.range.end; begin += longest) {
      const Bucket bucket{block.block, {begin, std::min(begin + longest, block.range.end)}, shard_numel_};
      buckets_.push_back(bucket);
      const Part own = part(bucket);
      if (own.numel() > 0) owned_.push_back({own, shard_numel_});
      shard_numel_ += part_length(bucket.range.numel(), world);
    }
  }
}

Part ShardPlan::part(const Bucket& bucket, int64_t rank) const {
  const Part within = part_of(bucket.range.numel(), world_, rank);
  return {bucket.range.begin + within.begin, bucket.range.begin + within.end};
}

}  // namespace txtsum::parallel
