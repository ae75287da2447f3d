#pragma once

#include <string>
#include <vector>

#include "app/resource_plan.h"
#include "txtsum/core/json.h"

namespace txtsum::app {

/// Tables for a terminal of 100 columns, and the assumptions behind them.
std::string plan_text(const ResourcePlan& plan, const config::ExperimentConfig& config);

/// What figures rest on, a line each.
std::vector<std::string> plan_assumptions(const ResourcePlan& plan);

/// In the words of train.precision.
const char* precision_name(at::ScalarType type);

/// The same in bytes, seconds, kWh, grams and USD.
core::Json to_json(const ResourcePlan& plan, const config::ExperimentConfig& config);

}  // namespace txtsum::app
