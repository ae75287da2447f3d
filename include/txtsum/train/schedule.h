#pragma once

#include <cstdint>
#include <optional>

#include "txtsum/config/schedule_config.h"

namespace txtsum::train {

/// Where a training stands before an update.
struct Progress {
  int64_t updates = 0;  ///< Done so far.
  double share = 0.0;   ///< Of the whole training that is done, 0 to 1.
};

/// The learning rate over a training. With a known number of updates the factors are transformers' get_*_schedule at
/// step `updates`. Where time limits the training, the same curves run over the share that is done: x = share, and a
/// warm-up of W updates ends where it is at the pace so far, share * W / updates.
class Schedule {
 public:
  /// `total_updates` is unset when time may end the training first.
  Schedule(const config::ScheduleConfig& config, double peak, std::optional<int64_t> total_updates);

  /// Learning rate of the next update.
  double learning_rate(const Progress& progress) const { return peak_ * factor(progress); }
  /// The same as a share of the peak.
  double factor(const Progress& progress) const;
  /// Updates of warm-up; unset when only a share is known.
  std::optional<int64_t> warmup_updates() const { return warmup_updates_; }

 private:
  double after_warmup(double position, double warmup, double total) const;

  config::ScheduleConfig config_;
  double peak_;
  std::optional<int64_t> total_updates_;
  std::optional<int64_t> warmup_updates_;
};

}  // namespace txtsum::train
