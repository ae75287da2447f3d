#include "plan.h"

#include <algorithm>
#include <cmath>

#include "txtsum/core/check.h"

namespace txtsum::train {
namespace {

/// Rounding of positions such as 1/3 + 1/3 + 1/3, far below one update of any epoch.
constexpr double kEpochRounding = 1e-9;

int64_t updates_of_epochs(double epochs, BatchSource& batches) {
  int64_t updates = 0;
  int64_t epoch = 0;
  for (; static_cast<double>(epoch + 1) <= epochs; ++epoch) updates += batches.updates_in_epoch(epoch);
  const double rest = epochs - static_cast<double>(epoch);
  if (rest <= kEpochRounding) return updates;
  const double rest_updates = rest * static_cast<double>(batches.updates_in_epoch(epoch));
  return updates + static_cast<int64_t>(std::ceil(rest_updates - kEpochRounding));
}

}  // namespace

TrainingPlan::TrainingPlan(const config::TrainConfig& config, BatchSource& batches) {
  if (config.epochs) update_limit_ = updates_of_epochs(*config.epochs, batches);
  if (config.max_updates) update_limit_ = std::min(update_limit_.value_or(*config.max_updates), *config.max_updates);
  if (config.max_minutes) max_seconds_ = 60.0 * *config.max_minutes;
  TXTSUM_CHECK(update_limit_ || max_seconds_, "train.epochs, max_updates or max_minutes must be set");
}

std::optional<int64_t> TrainingPlan::total_updates() const { return max_seconds_ ? std::nullopt : update_limit_; }

Progress TrainingPlan::progress(int64_t updates, double seconds) const {
  double share = 0.0;
  if (update_limit_) {
    share = *update_limit_ > 0 ? static_cast<double>(updates) / static_cast<double>(*update_limit_) : 1.0;
  }
  if (max_seconds_) share = std::max(share, *max_seconds_ > 0 ? seconds / *max_seconds_ : 1.0);
  return {updates, std::min(share, 1.0)};
}

Period::Period(std::optional<int64_t> every_updates, std::optional<double> every_epochs)
    : every_updates_(every_updates), every_epochs_(every_epochs) {}

bool Period::due(int64_t update, double epoch_before, double epoch_after) const {
  if (every_updates_ && update % *every_updates_ == 0) return true;
  if (!every_epochs_) return false;
  const auto marks = [&](double epoch) { return std::floor(epoch / *every_epochs_ + kEpochRounding); };
  return marks(epoch_after) > marks(epoch_before);
}

}  // namespace txtsum::train
