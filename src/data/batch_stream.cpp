#include "txtsum/data/batch_stream.h"

#include <string>
#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"

namespace txtsum::data {

BatchStream::BatchStream(const Dataset& dataset, Sampler sampler, BatchStreamOptions options)
    : dataset_(dataset),
      sampler_(std::move(sampler)),
      options_(options),
      token_counts_(dataset.token_counts()),
      position_(options.begin) {
  TXTSUM_CHECK(options_.rank >= 0 && options_.rank < options_.ranks, "rank ", options_.rank, " of ", options_.ranks);
  TXTSUM_CHECK(dataset_.size() > 0);
  load_epoch();
  if (position_.batch < 0 || position_.batch > static_cast<int64_t>(epoch_batches_.size())) {
    throw core::DataError("cannot go on at batch " + std::to_string(position_.batch) + " of epoch " +
                          std::to_string(position_.epoch) + ", which has " + std::to_string(epoch_batches_.size()) +
                          " batches: the data or the batch settings differ from those of the saved run");
  }
}

void BatchStream::load_epoch() { epoch_batches_ = sampler_.epoch(position_.epoch); }

std::optional<RankBatch> BatchStream::next() {
  if (options_.epochs && position_.epoch >= *options_.epochs) return std::nullopt;
  auto count = static_cast<int64_t>(epoch_batches_.size());
  if (position_.batch == count) {
    position_ = {position_.epoch + 1, 0};
    if (options_.epochs && position_.epoch >= *options_.epochs) return std::nullopt;
    load_epoch();
    count = static_cast<int64_t>(epoch_batches_.size());
  }
  const GlobalBatch& global = epoch_batches_[static_cast<size_t>(position_.batch)];
  RankBatch made;
  made.position = position_;
  made.ends_epoch = position_.batch + 1 == count;
  made.next =
      made.ends_epoch ? BatchPosition{position_.epoch + 1, 0} : BatchPosition{position_.epoch, position_.batch + 1};
  made.batches_in_epoch = count;
  made.global_examples = static_cast<int64_t>(global.examples.size());
  made.global_target_tokens = global.target_tokens;
  const auto cut = cut_into_micro_batches(global, token_counts_, options_.micro_batch_tokens, options_.ranks);
  const auto& own = cut[static_cast<size_t>(options_.rank)];
  for (size_t i = 0; i < own.size(); ++i) {
    made.micro_batches.push_back(collate(dataset_, own[i]));
    BatchExtent extent = extent_of(dataset_, own[i]);
    for (const auto& rank : cut) extent.cover(extent_of(dataset_, rank[i]));
    made.extents.push_back(extent);
  }
  ++position_.batch;
  return made;
}

}  // namespace txtsum::data
