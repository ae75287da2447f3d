#include "txtsum/train/schedule.h"

#include <algorithm>
#include <cmath>

#include "txtsum/core/check.h"

namespace txtsum::train {
namespace {

constexpr double kPi = 3.14159265358979323846;
/// transformers' timescale of the inverse square root where there is no warm-up.
constexpr double kInverseSqrtTimescale = 10000.0;

}  // namespace

Schedule::Schedule(const config::ScheduleConfig& config, double peak, std::optional<int64_t> total_updates)
    : config_(config), peak_(peak), total_updates_(total_updates) {
  if (config.warmup_share && total_updates) {
    warmup_updates_ = static_cast<int64_t>(std::ceil(static_cast<double>(*total_updates) * *config.warmup_share));
  } else if (!config.warmup_share) {
    warmup_updates_ = config.warmup_updates.value_or(0);
  }
}

double Schedule::factor(const Progress& progress) const {
  const double updates = static_cast<double>(progress.updates);
  if (warmup_updates_) {
    const double warmup = static_cast<double>(*warmup_updates_);
    if (updates < warmup) return updates / warmup;
    if (total_updates_) return after_warmup(updates, warmup, static_cast<double>(*total_updates_));
    // Time limits the training: where the warm-up ended, at the pace so far.
    const double warmup_end = updates > 0 ? progress.share * warmup / updates : 0.0;
    if (config_.name == config::ScheduleName::kInverseSqrt) return after_warmup(updates, warmup, 0.0);
    return after_warmup(progress.share, warmup_end, 1.0);
  }
  const double warmup = *config_.warmup_share;
  if (progress.share < warmup) return progress.share / warmup;
  return after_warmup(progress.share, warmup, 1.0);
}

double Schedule::after_warmup(double position, double warmup, double total) const {
  const double span = total - warmup;
  const double done = span > 0 ? std::clamp((position - warmup) / span, 0.0, 1.0) : 1.0;
  const double floor = config_.minimum_share;
  switch (config_.name) {
    case config::ScheduleName::kLinear:
      return (1.0 - done) * (1.0 - floor) + floor;
    case config::ScheduleName::kCosine:
      return 0.5 * (1.0 + std::cos(kPi * done)) * (1.0 - floor) + floor;
    case config::ScheduleName::kConstant:
      return 1.0;
    case config::ScheduleName::kInverseSqrt: {
      if (warmup <= 0 && warmup_updates_) {
        return 1.0 / std::sqrt((position + kInverseSqrtTimescale) / kInverseSqrtTimescale);
      }
      return warmup > 0 ? std::sqrt(warmup / position) : 1.0;
    }
  }
  TXTSUM_CHECK(false, "schedule ", static_cast<int>(config_.name));
  return 0.0;
}

}  // namespace txtsum::train
