#include "txtsum/train/dataset_batches.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/data/ragged_batch.h"

namespace txtsum::train {
namespace {

ops::RaggedTokens to_tokens(const std::vector<int32_t>& ids, const std::vector<int32_t>& offsets,
                            const std::vector<int64_t>& examples) {
  return ops::make_ragged_tokens({ids.begin(), ids.end()}, {offsets.begin(), offsets.end()}, examples);
}

MicroBatch to_micro_batch(const data::RaggedBatch& batch, const at::Tensor& encoded_ND = {}) {
  return {to_tokens(batch.source_ids, batch.source_offsets, batch.example_numbers),
          to_tokens(batch.target_ids, batch.target_offsets, batch.example_numbers), encoded_ND};
}

/// A micro-batch whose pass adds nothing to loss and gradients: its label is none.
MicroBatch empty_micro_batch(const at::Tensor& encoded_ND) {
  return {to_tokens({0}, {0, 1}, {0}), to_tokens({-1}, {0, 1}, {0}), encoded_ND};
}

}  // namespace

data::SamplerOptions sampler_options(const config::TrainConfig& config, uint64_t seed) {
  data::SamplerOptions options;
  options.order =
      config.sampler == config::Sampler::kRandom ? data::SampleOrder::kRandom : data::SampleOrder::kLengthBucketed;
  options.batch_examples = config.batch_size.value_or(0);
  options.batch_tokens = config.batch_tokens.value_or(0);
  options.bucket_batches = config.bucket_batches;
  options.seed = seed;
  return options;
}

DatasetBatches::DatasetBatches(const data::Dataset& dataset, const config::TrainConfig& config, uint64_t seed,
                               int64_t prefetch_batches, const RankShare& share, const EncoderCache* encoder_cache)
    : dataset_(dataset),
      options_(sampler_options(config, seed)),
      micro_batch_tokens_(config.micro_batch_tokens),
      share_(share),
      encoder_cache_(encoder_cache),
      prefetch_batches_(static_cast<size_t>(prefetch_batches)),
      sampler_(dataset.token_counts(), dataset.target_counts(), options_) {
  TXTSUM_CHECK(dataset.size() > 0, "a training split without examples");
}

int64_t DatasetBatches::updates_in_epoch(int64_t epoch) {
  if (options_.batch_examples > 0) return (dataset_.size() + options_.batch_examples - 1) / options_.batch_examples;
  const auto [place, added] = updates_in_epoch_.try_emplace(epoch, 0);
  if (added) place->second = static_cast<int64_t>(sampler_.epoch(epoch).size());
  return place->second;
}

void DatasetBatches::restart(const data::BatchPosition& position) {
  prefetcher_.reset();
  data::BatchStreamOptions options;
  options.micro_batch_tokens = micro_batch_tokens_;
  options.begin = position;
  options.rank = share_.rank;
  options.ranks = share_.ranks;
  stream_ = std::make_unique<data::BatchStream>(dataset_, sampler_, options);
  prefetcher_ = std::make_unique<Prefetcher>([this] { return make_next(); }, prefetch_batches_);
  next_ = position;
}

std::optional<DatasetBatches::Made> DatasetBatches::make_next() {
  std::optional<data::RankBatch> batch = stream_->next();
  if (!batch) return std::nullopt;
  Made made{std::move(*batch), {}};
  if (encoder_cache_ == nullptr) return made;
  for (const data::RaggedBatch& ragged : made.batch.micro_batches) {
    made.encoded.push_back(ragged.size() == 0 ? encoder_cache_->empty_rows(1)
                                              : encoder_cache_->rows(ragged.example_numbers));
  }
  return made;
}

GlobalBatch DatasetBatches::batch(int64_t epoch, int64_t index) {
  const data::BatchPosition position{epoch, index};
  if (!next_ || !(*next_ == position)) restart(position);
  const std::optional<Made> made = prefetcher_->next();
  TXTSUM_CHECK(made && made->batch.position == position, "epoch ", epoch, " batch ", index);
  next_ = made->batch.next;
  GlobalBatch batch;
  batch.target_tokens = made->batch.global_target_tokens;
  for (size_t i = 0; i < made->batch.micro_batches.size(); ++i) {
    const data::RaggedBatch& ragged = made->batch.micro_batches[i];
    const at::Tensor encoded_ND = made->encoded.empty() ? at::Tensor() : made->encoded[i];
    if (ragged.size() == 0) {
      if (share_.ranks == 1) continue;
      batch.micro_batches.push_back(empty_micro_batch(encoded_ND));
      batch.micro_batches.back().of_ranks = made->batch.extents[i];
      continue;
    }
    batch.examples.insert(batch.examples.end(), ragged.example_numbers.begin(), ragged.example_numbers.end());
    batch.source_tokens += static_cast<int64_t>(ragged.source_ids.size());
    batch.micro_batches.push_back(to_micro_batch(ragged, encoded_ND));
    batch.micro_batches.back().of_ranks = made->batch.extents[i];
  }
  return batch;
}

bool DatasetBatches::one_micro_batch() {
  if (options_.batch_tokens > 0) return options_.batch_tokens <= micro_batch_tokens_;
  std::vector<int64_t> counts = dataset_.token_counts();
  std::sort(counts.begin(), counts.end(), std::greater<>());
  counts.resize(static_cast<size_t>(std::min(options_.batch_examples, dataset_.size())));
  int64_t sum = 0;
  for (const int64_t count : counts) sum += count;
  return counts.size() == 1 || sum <= micro_batch_tokens_;
}

std::string DatasetBatches::describe_example(int64_t number) const {
  const bool has_id = dataset_.has_texts() && number >= 0 && number < dataset_.size();
  return has_id ? dataset_.text(number).id : std::to_string(number);
}

DatasetMicroBatches::DatasetMicroBatches(const data::Dataset& dataset, int64_t micro_batch_tokens) : dataset_(dataset) {
  if (dataset.size() == 0) return;
  data::SamplerOptions options;
  options.order = data::SampleOrder::kSequential;
  options.batch_tokens = micro_batch_tokens;
  batches_ = data::Sampler(dataset.token_counts(), dataset.target_counts(), options).epoch(0);
}

MicroBatch DatasetMicroBatches::micro_batch(int64_t index) {
  const std::vector<int64_t>& examples = batches_[static_cast<size_t>(index)].examples;
  return to_micro_batch(data::collate(dataset_, examples));
}

}  // namespace txtsum::train
