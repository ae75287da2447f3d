#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "txtsum/parallel/part.h"

// Which rank has which stretch of an arena (ZeRO, Rajbhandari et al. 2020). Integers alone.

namespace txtsum::parallel {

/// The elements of one block in an arena; of a block that has none, begin == end.
struct BlockRange {
  int64_t block = 0;
  Part range;
};

/// A stretch of one block that is reduced or gathered at once. Rank r has part_of(range.numel(), world, r) of it, which
/// lies at `local` in the rank's shard.
struct Bucket {
  int64_t block = 0;
  Part range;
  int64_t local = 0;
  bool operator==(const Bucket&) const = default;
};

/// A stretch of the arena that a rank has, and where it lies in its shard.
struct OwnedRange {
  Part range;
  int64_t local = 0;
};

/// Cuts the blocks of an arena into buckets and each bucket into parts, so that every rank has an equal share of every
/// bucket and shards have the same layout on all ranks. A shard is its parts in the order of the buckets; those that
/// are short or empty (part_of) leave room.
class ShardPlan {
 public:
  /// `blocks` are ascending, without overlaps. A bucket has at most `bucket_elements` elements, at least 8 times
  /// `world`.
  ShardPlan(const std::vector<BlockRange>& blocks, int64_t world, int64_t rank, int64_t bucket_elements);

  int64_t world() const { return world_; }
  int64_t rank() const { return rank_; }
  const std::vector<Bucket>& buckets() const { return buckets_; }
  /// Those of one block; none where it has no elements.
  std::span<const Bucket> buckets_of(int64_t block) const;
  /// Elements of a shard, the same on all ranks.
  int64_t shard_numel() const { return shard_numel_; }
  /// What `rank` has of a bucket, as a stretch of the arena.
  Part part(const Bucket& bucket, int64_t rank) const;
  Part part(const Bucket& bucket) const { return part(bucket, rank_); }
  /// All that this rank has, ascending, without empty stretches.
  const std::vector<OwnedRange>& owned() const { return owned_; }

 private:
  int64_t world_, rank_;
  std::vector<Bucket> buckets_;
  std::vector<OwnedRange> owned_;
  int64_t shard_numel_ = 0;
};

}  // namespace txtsum::parallel
