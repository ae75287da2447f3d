#include "txtsum/data/ragged_batch.h"

#include <limits>

#include "txtsum/core/error.h"

namespace txtsum::data {
namespace {

void append(std::span<const int32_t> piece, std::vector<int32_t>& ids, std::vector<int32_t>& offsets) {
  if (ids.size() + piece.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw core::DataError(
        "a batch holds more than 2147483647 tokens; lower the batch size or train.micro_batch_tokens");
  }
  ids.insert(ids.end(), piece.begin(), piece.end());
  offsets.push_back(static_cast<int32_t>(ids.size()));
}

}  // namespace

RaggedBatch collate(const Dataset& dataset, std::span<const int64_t> examples) {
  RaggedBatch batch;
  batch.example_numbers.assign(examples.begin(), examples.end());
  for (const int64_t example : examples) {
    append(dataset.source(example), batch.source_ids, batch.source_offsets);
    append(dataset.target(example), batch.target_ids, batch.target_offsets);
  }
  return batch;
}

}  // namespace txtsum::data
