#include "txtsum/data/token_table.h"

#include <utility>

namespace txtsum::data {

struct TokenTableBuilder::Arrays {
  std::vector<int32_t> ids;
  std::vector<int64_t> offsets = {0};
  std::vector<int64_t> rows;
  std::vector<uint64_t> hashes;
  std::vector<int64_t> full_lengths;
};

TokenTableBuilder::TokenTableBuilder() : arrays_(std::make_shared<Arrays>()) {}

void TokenTableBuilder::add(const TokenRow& row) {
  for (const auto* ids : {&row.source_ids, &row.target_ids}) {
    arrays_->ids.insert(arrays_->ids.end(), ids->begin(), ids->end());
    arrays_->offsets.push_back(static_cast<int64_t>(arrays_->ids.size()));
  }
  arrays_->rows.push_back(row.row);
  arrays_->hashes.push_back(row.source_hash);
  arrays_->full_lengths.push_back(row.full_source_length);
  arrays_->full_lengths.push_back(row.full_target_length);
}

TokenTable TokenTableBuilder::finish(const RowCounts& counts) {
  const std::shared_ptr<const Arrays> arrays = std::exchange(arrays_, std::make_shared<Arrays>());
  return {arrays, counts, arrays->ids, arrays->offsets, arrays->rows, arrays->hashes, arrays->full_lengths};
}

}  // namespace txtsum::data
