#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "txtsum/config/train_config.h"
#include "txtsum/data/dataset.h"
#include "txtsum/model/model_outline.h"

namespace txtsum::train {

/// The updates of a training, from the lengths of its examples alone.
struct UpdatePlan {
  int64_t updates_in_epoch = 0;          ///< Of the first epoch.
  std::optional<int64_t> total_updates;  ///< None where time alone ends the training.
  double epochs = 0;                     ///< Until total_updates; 0 without.
  bool one_micro_batch = false;          ///< Every update is one, on one rank.
};
UpdatePlan plan_updates(const data::Dataset& dataset, const config::TrainConfig& config, uint64_t seed);

/// What the ranks' micro-batches have.
struct MicroBatchPlan {
  /// Of all micro-batches of all ranks those that none exceeds in everything; as they are rounded up.
  std::vector<model::PassTokens> largest;
  double in_update = 0;       ///< Micro-batches of a rank in an update, in the mean.
  double longest_share = 0;   ///< Tokens of the rank that has most, in the mean over updates, of all ranks' mean.
  int64_t tokens = 0;         ///< Source and target tokens of an epoch
  int64_t padded_tokens = 0;  ///< and with those that fill up a GPU's shapes.
};
/// Cuts the updates of the training's epochs, of ten at most. `rounds_up`: as on a GPU, to few shapes.
MicroBatchPlan plan_micro_batches(const data::Dataset& dataset, const config::TrainConfig& config, uint64_t seed,
                                  int64_t ranks, const model::ModelFacts& facts, bool rounds_up);

}  // namespace txtsum::train
