#pragma once

#include <cstdint>
#include <optional>

#include "txtsum/config/train_config.h"
#include "txtsum/train/batch_source.h"
#include "txtsum/train/schedule.h"

namespace txtsum::train {

/// How long a training is. The share done is the largest of the shares of the limits that are set (TrainConfig).
class TrainingPlan {
 public:
  /// Counts the updates of `config.epochs` with `batches`; a part of an epoch is rounded up to whole updates.
  TrainingPlan(const config::TrainConfig& config, BatchSource& batches);

  /// The smallest limit in updates; unset when only time limits the training.
  std::optional<int64_t> update_limit() const { return update_limit_; }
  /// Updates of the whole training where nothing but updates limits it, for the schedule.
  std::optional<int64_t> total_updates() const;
  /// Where a training stands after `updates` updates and `seconds` of training.
  Progress progress(int64_t updates, double seconds) const;
  bool updates_are_done(int64_t updates) const { return update_limit_ && updates >= *update_limit_; }
  bool time_is_up(double seconds) const { return max_seconds_ && seconds >= *max_seconds_; }

 private:
  std::optional<int64_t> update_limit_;
  std::optional<double> max_seconds_;
};

/// When something that has a period is due: every n updates, or every x epochs.
class Period {
 public:
  Period(std::optional<int64_t> every_updates, std::optional<double> every_epochs);

  /// Whether the period's mark lies in (`epoch_before`, `epoch_after`], or is update number `update`.
  bool due(int64_t update, double epoch_before, double epoch_after) const;

 private:
  std::optional<int64_t> every_updates_;
  std::optional<double> every_epochs_;
};

}  // namespace txtsum::train
