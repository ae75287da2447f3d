#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "txtsum/config/train_config.h"
#include "txtsum/data/batch_stream.h"
#include "txtsum/data/dataset.h"
#include "txtsum/data/prefetcher.h"
#include "txtsum/data/sampler.h"
#include "txtsum/train/batch_source.h"
#include "txtsum/train/encoder_cache.h"

namespace txtsum::train {

/// How the section `train` forms its global batches.
data::SamplerOptions sampler_options(const config::TrainConfig& config, uint64_t seed);

/// Whose share of each global batch is made.
struct RankShare {
  int64_t rank = 0, ranks = 1;
};

/// The training split as a BatchSource: sampled, cut into micro-batches, and made ahead on a thread.
class DatasetBatches final : public BatchSource {
 public:
  /// `dataset` must outlive it and not be empty. `prefetch_batches` are made ahead (0: none). Of several ranks each
  /// makes as many micro-batches as the others; one that has no examples is a single token that counts nothing. With a
  /// cache, which is full and outlives it, micro-batches have the encoder's outputs.
  DatasetBatches(const data::Dataset& dataset, const config::TrainConfig& config, uint64_t seed,
                 int64_t prefetch_batches, const RankShare& share = {}, const EncoderCache* encoder_cache = nullptr);

  int64_t examples() const override { return dataset_.size(); }
  int64_t updates_in_epoch(int64_t epoch) override;
  GlobalBatch batch(int64_t epoch, int64_t index) override;
  /// Judged by the longest examples, so that the answer holds for every epoch: false where a batch of them would not
  /// fit.
  bool one_micro_batch() override;
  /// The example's id where the dataset kept its texts, else its number.
  std::string describe_example(int64_t number) const override;

 private:
  /// A batch, and the encoder's outputs of each of its micro-batches, which may be long in coming from the disk.
  struct Made {
    data::RankBatch batch;
    std::vector<at::Tensor> encoded;
  };
  using Prefetcher = data::Prefetcher<Made>;
  void restart(const data::BatchPosition& position);
  std::optional<Made> make_next();

  const data::Dataset& dataset_;
  data::SamplerOptions options_;
  int64_t micro_batch_tokens_;
  RankShare share_;
  const EncoderCache* encoder_cache_;
  size_t prefetch_batches_;
  data::Sampler sampler_;
  std::unordered_map<int64_t, int64_t> updates_in_epoch_;
  std::unique_ptr<data::BatchStream> stream_;
  std::unique_ptr<Prefetcher> prefetcher_;  // After stream_, which its thread reads: destroyed first.
  std::optional<data::BatchPosition> next_;
};

/// A split in file order, cut by a token budget.
class DatasetMicroBatches final : public MicroBatchSource {
 public:
  /// `dataset` must outlive it.
  DatasetMicroBatches(const data::Dataset& dataset, int64_t micro_batch_tokens);

  int64_t size() override { return static_cast<int64_t>(batches_.size()); }
  MicroBatch micro_batch(int64_t index) override;

 private:
  const data::Dataset& dataset_;
  std::vector<data::GlobalBatch> batches_;
};

}  // namespace txtsum::train
