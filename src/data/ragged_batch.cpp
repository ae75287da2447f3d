#include "txtsum/data/ragged_batch.h"

#include <algorithm>
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

void BatchExtent::cover(const BatchExtent& other) {
  source_tokens = std::max(source_tokens, other.source_tokens);
  target_tokens = std::max(target_tokens, other.target_tokens);
  examples = std::max(examples, other.examples);
  fewest_examples = std::min(fewest_examples, other.fewest_examples);
  longest_source = std::max(longest_source, other.longest_source);
  longest_target = std::max(longest_target, other.longest_target);
}

BatchExtent extent_of(const Dataset& dataset, std::span<const int64_t> examples) {
  BatchExtent extent;
  extent.examples = extent.fewest_examples = static_cast<int64_t>(examples.size());
  for (const int64_t example : examples) {
    const int64_t source = dataset.source_length(example), target = dataset.target_length(example);
    extent.source_tokens += source;
    extent.target_tokens += target;
    extent.longest_source = std::max(extent.longest_source, source);
    extent.longest_target = std::max(extent.longest_target, target);
  }
  return extent;
}

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
