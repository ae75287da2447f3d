// Every element has one owner, and shards are laid out alike on all ranks.

#include "txtsum/parallel/shard_plan.h"

#include <gtest/gtest.h>

namespace txtsum::parallel {
namespace {

/// Blocks of all kinds of sizes, with holes between them; more ranks than elements included.
TEST(ShardPlan, EveryElementOfEveryBlockHasOneOwner) {
  const std::vector<std::vector<BlockRange>> arenas{
      {},
      {{0, {0, 128}}},
      {{0, {0, 1}}},
      {{0, {0, 8}}, {1, {128, 129}}, {2, {256, 256}}, {5, {256, 1000}}},
      {{0, {0, 1280}}, {1, {1280, 1408}}, {2, {1408, 5001}}},
  };
  for (const auto& blocks : arenas) {
    for (int64_t world = 1; world <= 17; ++world) {
      for (const int64_t bucket_elements : {1, 64, 200, 1024, 1 << 20}) {
        std::vector<int> owners(6000, 0);
        int64_t total = 0;
        for (const BlockRange& block : blocks) total += block.range.numel();
        const ShardPlan first(blocks, world, 0, bucket_elements);
        for (int64_t rank = 0; rank < world; ++rank) {
          const ShardPlan plan(blocks, world, rank, bucket_elements);
          ASSERT_EQ(plan.buckets(), first.buckets());
          ASSERT_EQ(plan.shard_numel(), first.shard_numel());
          int64_t local_end = 0;
          for (const OwnedRange& owned : plan.owned()) {
            ASSERT_GE(owned.local, local_end) << "stretches of a shard overlap";
            local_end = owned.local + owned.range.numel();
            for (int64_t i = owned.range.begin; i < owned.range.end; ++i) ++owners[static_cast<size_t>(i)];
          }
          ASSERT_LE(local_end, plan.shard_numel());
        }
        int64_t owned_elements = 0;
        for (const BlockRange& block : blocks) {
          for (int64_t i = block.range.begin; i < block.range.end; ++i) ASSERT_EQ(owners[static_cast<size_t>(i)], 1);
        }
        for (const int count : owners) owned_elements += count;
        ASSERT_EQ(owned_elements, total);
      }
    }
  }
}

TEST(ShardPlan, BucketsStayInTheirBlockAndWithinTheirSize) {
  const ShardPlan plan({{0, {0, 1000}}, {3, {1000, 1010}}}, 2, 1, 300);
  ASSERT_EQ(plan.buckets().size(), 5u);
  int64_t next = 0;
  for (const Bucket& bucket : plan.buckets()) {
    EXPECT_EQ(bucket.range.begin, next);
    EXPECT_LE(bucket.range.numel(), 300);
    EXPECT_EQ(bucket.block, bucket.range.begin < 1000 ? 0 : 3);
    next = bucket.range.end;
  }
  EXPECT_EQ(plan.buckets_of(0).size(), 4u);
  EXPECT_TRUE(plan.buckets_of(2).empty());
  EXPECT_EQ(plan.buckets_of(3).front(), plan.buckets().back());
}

/// With sizes that the ranks divide, as an arena's blocks are for 2, 4, 8 and 16 ranks, no room is lost.
TEST(ShardPlan, ShardsOfAlignedBlocksHaveTheirExactShare) {
  for (const int64_t world : {1, 2, 4, 8, 16}) {
    const ShardPlan plan({{0, {0, 128 * 30}}, {1, {128 * 30, 128 * 37}}}, world, 0, 128 * 5);
    EXPECT_EQ(plan.shard_numel(), 128 * 37 / world);
  }
}

}  // namespace
}  // namespace txtsum::parallel
