#include "selection.h"

#include <cmath>

#include "txtsum/config/field.h"
#include "txtsum/core/check.h"

namespace txtsum::train {

Selection::Selection(const config::CheckpointConfig& checkpoint, const config::EarlyStoppingConfig& early_stopping)
    : metric_(checkpoint.best_metric), patience_(early_stopping.patience), threshold_(early_stopping.threshold) {}

bool Selection::better(double value, double than) const {
  return metric_ == config::BestMetric::kLoss ? value < than : value > than;
}

bool Selection::enter(const ValidationRecord& record, TrainingState& state) const {
  if (!enabled()) return false;
  const std::string name(config::name_of(metric_));
  const std::optional<double> value = record.metric(name);
  TXTSUM_CHECK(value, "validation did not measure ", name);
  const bool counts =
      !state.best_metric || (better(*value, *state.best_metric) && std::abs(*value - *state.best_metric) > threshold_);
  state.bad_validations = counts ? 0 : state.bad_validations + 1;
  const bool best = !std::isnan(*value) && (!state.best_metric || better(*value, *state.best_metric));
  if (best) {
    state.best_metric = *value;
    state.best_update = record.update;
  }
  return best;
}

bool Selection::should_stop(const TrainingState& state) const {
  return enabled() && patience_ && state.bad_validations >= *patience_;
}

}  // namespace txtsum::train
