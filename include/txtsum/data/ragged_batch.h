#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "txtsum/data/dataset.h"

namespace txtsum::data {

/// Examples one after the other, without padding. B examples, N source tokens, M target tokens.
struct RaggedBatch {
  std::vector<int64_t> example_numbers;       ///< B; numbers in the dataset.
  std::vector<int32_t> source_ids;            ///< N
  std::vector<int32_t> source_offsets = {0};  ///< B + 1; example b has the ids [offsets[b], offsets[b + 1]).
  std::vector<int32_t> target_ids;            ///< M
  std::vector<int32_t> target_offsets = {0};  ///< B + 1

  int64_t size() const { return static_cast<int64_t>(example_numbers.size()); }
};

/// How much a batch holds, or of several batches each at most.
struct BatchExtent {
  int64_t source_tokens = 0, target_tokens = 0;
  int64_t examples = 0;
  int64_t fewest_examples = 0;                     ///< Of several: that the one with fewest has.
  int64_t longest_source = 0, longest_target = 0;  ///< Tokens of an example.

  int64_t tokens() const { return source_tokens + target_tokens; }
  /// Makes it hold `other` too.
  void cover(const BatchExtent& other);
};

BatchExtent extent_of(const Dataset& dataset, std::span<const int64_t> examples);

/// Puts `examples` of `dataset` into one batch, in that order. Throws DataError when a batch has 2^31 tokens or more.
RaggedBatch collate(const Dataset& dataset, std::span<const int64_t> examples);

}  // namespace txtsum::data
