#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace txtsum::data {

/// The examples of one update, over all ranks.
struct GlobalBatch {
  std::vector<int64_t> examples;
  int64_t target_tokens = 0;  ///< Sum over the examples: the loss is divided by it.
};

/// Order of examples within an epoch.
enum class SampleOrder {
  kSequential,      ///< As in the files (validation).
  kRandom,          ///< A permutation.
  kLengthBucketed,  ///< A permutation; windows of several batches sorted by length and cut into batches; batches
                    ///< permuted.
};

/// How batches are formed. Exactly one of `batch_examples` and `batch_tokens` is set.
struct SamplerOptions {
  SampleOrder order = SampleOrder::kRandom;
  int64_t batch_examples = 0;   ///< Examples a batch; the last one of an epoch may have fewer.
  int64_t batch_tokens = 0;     ///< Source + target tokens a batch, at most; a longer example is a batch of its own.
  int64_t bucket_batches = 50;  ///< kLengthBucketed: batches' worth of examples in a window.
  uint64_t seed = 0;
};

/// Forms the global batches of each epoch: a pure function of the lengths, the options and the number of the epoch, the
/// same on every platform and any number of ranks. Every example is in exactly one batch of an epoch.
class Sampler {
 public:
  /// `token_counts`: source + target tokens of each example; `target_counts`: target tokens. Both are copied.
  Sampler(std::vector<int64_t> token_counts, std::vector<int64_t> target_counts, SamplerOptions options);

  /// The batches of `epoch` (from 0), in order. With a token budget their number may differ between epochs.
  std::vector<GlobalBatch> epoch(int64_t epoch) const;
  /// Batches of the epochs 0 to `epochs` - 1 together.
  int64_t count_batches(int64_t epochs) const;

 private:
  std::vector<int64_t> example_order(int64_t epoch) const;
  std::vector<std::vector<int64_t>> cut(std::span<const int64_t> examples) const;
  std::vector<std::vector<int64_t>> bucketed_batches(std::vector<int64_t> order, int64_t epoch) const;

  std::vector<int64_t> token_counts_;
  std::vector<int64_t> target_counts_;
  SamplerOptions options_;
};

/// Cuts a global batch into micro-batches: element [rank][micro] lists examples. All ranks get the same number of
/// micro-batches, as few as keep each within `micro_batch_tokens` source + target tokens (0: no limit, one a rank),
/// with tokens balanced: the longest example goes first, each to the lightest micro-batch. An example over the limit
/// has a micro-batch of its own, over the limit. A micro-batch is empty where there are fewer examples than
/// micro-batches. Within one, examples stay in the order of the global batch. Deterministic.
std::vector<std::vector<std::vector<int64_t>>> cut_into_micro_batches(const GlobalBatch& batch,
                                                                      std::span<const int64_t> token_counts,
                                                                      int64_t micro_batch_tokens, int64_t ranks);

}  // namespace txtsum::data
