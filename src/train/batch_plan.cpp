#include "txtsum/train/batch_plan.h"

#include <algorithm>
#include <cmath>

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

Bucket exact_of(const data::Dataset& dataset, const std::vector<int64_t>& examples) {
  Bucket exact;
  exact.slots = static_cast<int64_t>(examples.size());
  for (const int64_t example : examples) {
    const int64_t source = dataset.source_length(example), target = dataset.target_length(example);
    exact.source_tokens += source;
    exact.target_tokens += target;
    exact.longest_source = std::max(exact.longest_source, source);
    exact.longest_target = std::max(exact.longest_target, target);
  }
  return exact;
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
      int64_t most = 0, all = 0;
      for (const auto& rank : data::cut_into_micro_batches(batch, counts, config.micro_batch_tokens, ranks)) {
        int64_t own = 0;
        for (const std::vector<int64_t>& examples : rank) {
          Bucket bucket = exact_of(dataset, examples);
          const int64_t exact = bucket.source_tokens + bucket.target_tokens;
          if (rounds_up && exact > 0) bucket = rounded_up(bucket, facts);
          add_largest(plan.largest, {bucket.source_tokens, bucket.target_tokens, bucket.slots});
          own += exact;
          if (epoch > 0) continue;
          plan.tokens += exact;
          plan.padded_tokens += bucket.source_tokens + bucket.target_tokens;
        }
        most = std::max(most, own);
        all += own;
        micro_batches += static_cast<int64_t>(rank.size());
      }
      plan.longest_share += static_cast<double>(most * ranks) / static_cast<double>(all);
      ++updates;
    }
  }
  plan.in_update = static_cast<double>(micro_batches) / static_cast<double>(updates * ranks);
  plan.longest_share /= static_cast<double>(updates);
  return plan;
}

}  // namespace txtsum::train
