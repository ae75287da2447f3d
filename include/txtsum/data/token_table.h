#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace txtsum::data {

/// One tokenized pair, as it is put into a table.
struct TokenRow {
  std::vector<int32_t> source_ids;
  std::vector<int32_t> target_ids;
  int64_t full_source_length = 0;  ///< Ids without the limit.
  int64_t full_target_length = 0;
  uint64_t source_hash = 0;  ///< Of the exact source text, for duplicates.
  int64_t row = 0;           ///< Number of the row in the split's files, from 0.
};

/// What happened to the rows of a split on their way into a table.
struct RowCounts {
  int64_t read = 0;
  int64_t empty_source = 0;  ///< Source empty or only white space; dropped.
  int64_t empty_target = 0;  ///< Source not empty, target empty or only white space; dropped.
};

/// Token ids of a split, read only. The arrays belong to `owner`: vectors in memory or a mapped cache file.
struct TokenTable {
  std::shared_ptr<const void> owner;
  RowCounts counts;
  std::span<const int32_t> ids;           ///< Source ids, then target ids, example after example.
  std::span<const int64_t> offsets;       ///< 2 n + 1: where source i (2 i) and target i (2 i + 1) begin in `ids`.
  std::span<const int64_t> rows;          ///< n
  std::span<const uint64_t> hashes;       ///< n, of the source texts
  std::span<const int64_t> full_lengths;  ///< 2 n: source and target lengths without limits

  int64_t size() const { return static_cast<int64_t>(rows.size()); }
};

/// Collects rows into a table in memory.
class TokenTableBuilder {
 public:
  TokenTableBuilder();
  void add(const TokenRow& row);
  /// The table; the builder is empty afterwards.
  TokenTable finish(const RowCounts& counts);

 private:
  struct Arrays;
  std::shared_ptr<Arrays> arrays_;
};

}  // namespace txtsum::data
