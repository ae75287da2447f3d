#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

// Which blocks of keys a block of queries sees in BigBird's attention (Zaheer et al. 2020), as transformers cuts it:
// the first and the last block see all and are seen by all; every other one sees these two, its neighbours, itself and
// a few random blocks.

namespace txtsum::ops {

struct BlockRule {
  int64_t block = 0;   ///< Tokens of a block; the last one of a sequence may have fewer.
  int64_t random = 0;  ///< Random blocks that each block but the first and the last sees, 0 to 15.
  int64_t heads = 1;
  /// With a seed the random blocks are distinct, none that is seen anyway, and a pure function of (seed, layer, head,
  /// number of blocks). Without one they are those of transformers' evaluation: the first block, once more for each.
  std::optional<uint64_t> seed;
  int64_t layer = 0;  ///< Distinguishes plans of one seed.

  /// A sequence of at most so many blocks is attended to in full.
  int64_t full_blocks() const { return 5 + 2 * random; }
  int64_t blocks_of(int64_t tokens) const { return (tokens + block - 1) / block; }
};

/// A block in a list, and how often it counts in the softmax, in 16 bits.
using BlockEntry = uint16_t;
inline constexpr int kBlockBits = 12;
inline constexpr int64_t kMaxBlocks = int64_t{1} << kBlockBits, kMaxTimes = 16;
inline int64_t block_of(BlockEntry entry) { return entry & (kMaxBlocks - 1); }
inline int64_t times_of(BlockEntry entry) { return (entry >> kBlockBits) + 1; }

/// For every number of blocks, head and row (a block of one side) the blocks of the other side, ascending.
struct BlockLists {
  bool per_head = false;        ///< False: all heads have the lists of head 0.
  std::vector<int32_t> firsts;  ///< [max blocks + 1]: where the lists of so many blocks begin in `starts`.
  std::vector<int32_t> starts;  ///< Head by head, row by row: where a list begins in `entries`; the next one ends it.
  std::vector<BlockEntry> entries;
  at::Tensor firsts_on_device, starts_on_device, entries_on_device;  ///< int32, int32, int16; on a GPU alone.

  std::span<const BlockEntry> row(int64_t blocks, int64_t head, int64_t row) const;
};

/// The lists of one layer for sequences up to `max_tokens`. Throws DataError for a rule or length out of range.
class BlockPlan {
 public:
  BlockPlan(const BlockRule& rule, int64_t max_tokens, const at::Device& device);

  const BlockRule& rule() const { return rule_; }
  int64_t max_tokens() const { return max_tokens_; }
  /// The keys that each block of queries sees.
  const BlockLists& keys() const { return keys_; }
  /// The queries that see each block of keys.
  const BlockLists& queries() const { return queries_; }

 private:
  BlockRule rule_;
  int64_t max_tokens_;
  BlockLists keys_, queries_;
};

/// Pairs of query and key that the rule makes of a sequence, each counted once.
double block_pairs(const BlockRule& rule, int64_t tokens);

}  // namespace txtsum::ops
