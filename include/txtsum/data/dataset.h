#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "txtsum/data/token_table.h"

namespace txtsum::data {

/// The texts of one example, whole as the file has them: without prefix, never cut.
struct ExampleText {
  std::string id;  ///< From the id column, else the number of the row in the split, from 0.
  std::string source;
  std::string reference;
};

/// A tokenized split: random access to the ids of each example, and to its texts where they were kept. Copies share the
/// ids.
class Dataset {
 public:
  Dataset() = default;
  /// `texts` is empty or has an entry for each example.
  explicit Dataset(TokenTable table, std::vector<ExampleText> texts = {});
  /// A split in memory; lengths are taken as uncut (tests and callers that tokenize by themselves).
  static Dataset from_ids(const std::vector<std::vector<int32_t>>& sources,
                          const std::vector<std::vector<int32_t>>& targets);

  int64_t size() const { return table_.size(); }
  std::span<const int32_t> source(int64_t example) const { return piece(2 * example); }
  std::span<const int32_t> target(int64_t example) const { return piece(2 * example + 1); }
  int64_t source_length(int64_t example) const { return static_cast<int64_t>(source(example).size()); }
  int64_t target_length(int64_t example) const { return static_cast<int64_t>(target(example).size()); }

  /// Source + target tokens of each example: its weight in token budgets.
  std::vector<int64_t> token_counts() const;
  /// Target tokens of each example.
  std::vector<int64_t> target_counts() const;

  /// Stands for all ids and where each text begins: equal for the same examples in the same order.
  std::string fingerprint() const;

  bool has_texts() const { return !texts_.empty() || size() == 0; }
  const ExampleText& text(int64_t example) const;
  const TokenTable& table() const { return table_; }

 private:
  std::span<const int32_t> piece(int64_t number) const;

  TokenTable table_;
  std::vector<ExampleText> texts_;
};

}  // namespace txtsum::data
