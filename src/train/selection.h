#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "txtsum/config/checkpoint_config.h"
#include "txtsum/train/checkpoint.h"
#include "txtsum/train/observer.h"

namespace txtsum::train {

/// Keeps the best validation, and says when it has stopped getting better, as transformers' EarlyStoppingCallback does:
/// a validation is bad unless its metric is better than the best before it by more than the threshold. Its numbers are
/// in TrainingState.
class Selection {
 public:
  Selection(const config::CheckpointConfig& checkpoint, const config::EarlyStoppingConfig& early_stopping);

  bool enabled() const { return metric_ != config::BestMetric::kNone; }
  /// Enters a validation into `state`; returns whether it is the best so far.
  bool enter(const ValidationRecord& record, TrainingState& state) const;
  bool should_stop(const TrainingState& state) const;

 private:
  bool better(double value, double than) const;

  config::BestMetric metric_;
  std::optional<int64_t> patience_;
  double threshold_;
};

}  // namespace txtsum::train
