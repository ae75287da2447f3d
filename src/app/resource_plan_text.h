#pragma once

#include <string>

#include "app/resource_plan.h"
#include "txtsum/core/json.h"

namespace txtsum::app {

/// Tables for a terminal of 100 columns, and the assumptions behind them.
std::string plan_text(const ResourcePlan& plan, const config::ExperimentConfig& config);

/// The same in bytes, seconds, kWh, grams and USD.
core::Json to_json(const ResourcePlan& plan, const config::ExperimentConfig& config);

}  // namespace txtsum::app
