#include "txtsum/data/dataset.h"

#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/core/file.h"

namespace txtsum::data {

Dataset::Dataset(TokenTable table, std::vector<ExampleText> texts)
    : table_(std::move(table)), texts_(std::move(texts)) {
  TXTSUM_CHECK(texts_.empty() || texts_.size() == table_.rows.size(), "texts ", texts_.size(), " examples ",
               table_.size());
}

Dataset Dataset::from_ids(const std::vector<std::vector<int32_t>>& sources,
                          const std::vector<std::vector<int32_t>>& targets) {
  TXTSUM_CHECK(sources.size() == targets.size(), "sources ", sources.size(), " targets ", targets.size());
  TokenTableBuilder builder;
  for (size_t i = 0; i < sources.size(); ++i) {
    builder.add({sources[i], targets[i], static_cast<int64_t>(sources[i].size()),
                 static_cast<int64_t>(targets[i].size()), i, static_cast<int64_t>(i)});
  }
  return Dataset(builder.finish({static_cast<int64_t>(sources.size()), 0, 0}));
}

std::span<const int32_t> Dataset::piece(int64_t number) const {
  TXTSUM_CHECK(number >= 0 && number < 2 * size(), "example ", number / 2, " of ", size());
  const int64_t begin = table_.offsets[static_cast<size_t>(number)];
  const int64_t end = table_.offsets[static_cast<size_t>(number) + 1];
  return table_.ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

std::string Dataset::fingerprint() const {
  const auto hash_of = [](const auto& values) {
    return core::content_hash({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  };
  return core::content_hash(hash_of(table_.ids) + hash_of(table_.offsets));
}

std::vector<int64_t> Dataset::token_counts() const {
  std::vector<int64_t> counts;
  counts.reserve(table_.rows.size());
  for (int64_t i = 0; i < size(); ++i) counts.push_back(source_length(i) + target_length(i));
  return counts;
}

std::vector<int64_t> Dataset::target_counts() const {
  std::vector<int64_t> counts;
  counts.reserve(table_.rows.size());
  for (int64_t i = 0; i < size(); ++i) counts.push_back(target_length(i));
  return counts;
}

const ExampleText& Dataset::text(int64_t example) const {
  TXTSUM_CHECK(example >= 0 && example < static_cast<int64_t>(texts_.size()), "example ", example, " texts ",
               texts_.size());
  return texts_[static_cast<size_t>(example)];
}

}  // namespace txtsum::data
