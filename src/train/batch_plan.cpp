#include "txtsum/train/batch_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "bucket.h"
#include "plan.h"
#include "txtsum/train/dataset_batches.h"

namespace txtsum::train {
namespace {

/// Each epoch's order makes other batches; beyond so many hardly a larger one comes.
constexpr int64_t kMostEpochs = 10;

bool exceeds(const model::PassTokens& a, const model::PassTokens& b) {
  return a.source >= b.source && a.target >= b.target && a.sequences >= b.sequences;
}

void add_largest(std::vector<model::PassTokens>& largest, const model::PassTokens& tokens) {
  const auto above = [&](const model::PassTokens& other) { return exceeds(other, tokens); };
  if (std::any_of(largest.begin(), largest.end(), above)) return;
  std::erase_if(largest, [&](const model::PassTokens& other) { return exceeds(tokens, other); });
  largest.push_back(tokens);
}

/// The ranks' micro-batches in one place of an update. Returns their tokens, with those that fill up.
int64_t add_place(std::vector<model::PassTokens>& largest, const std::vector<data::BatchExtent>& ranks,
                  const model::ModelFacts& facts, bool rounds_up) {
  if (!rounds_up) {
    int64_t tokens = 0;
    for (const data::BatchExtent& rank : ranks) {
      add_largest(largest, {rank.source_tokens, rank.target_tokens, rank.examples});
      tokens += rank.tokens();
    }
    return tokens;
  }
  data::BatchExtent all = ranks.front();
  for (const data::BatchExtent& rank : ranks) all.cover(rank);
  const Bucket bucket = rounded_up(all, facts);
  add_largest(largest, {bucket.source_tokens, bucket.target_tokens, bucket.slots});
  return static_cast<int64_t>(ranks.size()) * (bucket.source_tokens + bucket.target_tokens);
}

}  // namespace

UpdatePlan plan_updates(const data::Dataset& dataset, const config::TrainConfig& config, uint64_t seed) {
  DatasetBatches batches(dataset, config, seed, /*prefetch_batches=*/0);
  UpdatePlan plan;
  plan.updates_in_epoch = batches.updates_in_epoch(0);
  plan.one_micro_batch = batches.one_micro_batch();
  plan.total_updates = TrainingPlan(config, batches).update_limit();
  if (!plan.total_updates) return plan;
  int64_t left = *plan.total_updates;
  for (int64_t epoch = 0; left > 0; ++epoch) {
    const int64_t updates = batches.updates_in_epoch(epoch), taken = std::min(left, updates);
    plan.epochs += static_cast<double>(taken) / static_cast<double>(updates);
    left -= taken;
  }
  return plan;
}

MicroBatchPlan plan_micro_batches(const data::Dataset& dataset, const config::TrainConfig& config, uint64_t seed,
                                  int64_t ranks, const model::ModelFacts& facts, bool rounds_up) {
  const std::vector<int64_t> counts = dataset.token_counts();
  const data::Sampler sampler(counts, dataset.target_counts(), sampler_options(config, seed));
  const double epochs = plan_updates(dataset, config, seed).epochs;
  const int64_t seen = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(epochs)), 1, kMostEpochs);
  MicroBatchPlan plan;
  int64_t updates = 0, micro_batches = 0;
  for (int64_t epoch = 0; epoch < seen; ++epoch) {
    for (const data::GlobalBatch& batch : sampler.epoch(epoch)) {
      const auto cut = data::cut_into_micro_batches(batch, counts, config.micro_batch_tokens, ranks);
      std::vector<int64_t> own(cut.size());
      for (size_t i = 0; i < cut.front().size(); ++i) {
        std::vector<data::BatchExtent> extents;
        for (size_t rank = 0; rank < cut.size(); ++rank) {
          extents.push_back(data::extent_of(dataset, cut[rank][i]));
          own[rank] += extents.back().tokens();
        }
        const int64_t padded = add_place(plan.largest, extents, facts, rounds_up);
        if (epoch == 0) plan.padded_tokens += padded;
        micro_batches += ranks;
      }
      const int64_t most = *std::max_element(own.begin(), own.end());
      const int64_t all = std::accumulate(own.begin(), own.end(), int64_t{0});
      if (epoch == 0) plan.tokens += all;
      plan.longest_share += static_cast<double>(most * ranks) / static_cast<double>(all);
      ++updates;
    }
  }
  plan.in_update = static_cast<double>(micro_batches) / static_cast<double>(updates * ranks);
  plan.longest_share /= static_cast<double>(updates);
  return plan;
}

}  // namespace txtsum::train
