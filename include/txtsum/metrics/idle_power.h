#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/core/clock.h"
#include "txtsum/metrics/energy_meter.h"

namespace txtsum::metrics {

/// What a component drew before the run asked anything of it.
struct IdlePower {
  EnergyComponent component = EnergyComponent::kOther;
  double watts = 0;    ///< Mean over `seconds`, all measured meters of the component together.
  double seconds = 0;  ///< Of the reading.
  std::string source;  ///< The meters.
};

/// How long a reading takes: ten steps of the slowest counter.
inline constexpr double kIdleSeconds = 1.0;

/// Reads the measured meters, waits kIdleSeconds by `wait`, and reads them again. Models know no idle draw and are left
/// out: where no meter measures, it does not wait and gives nothing.
std::vector<IdlePower> read_idle_power(const MeterSet& meters, const core::Clock& clock,
                                       const std::function<void(double seconds)>& wait);

/// The machine's idle power by what ranks on it have read, each of its own GPU: `own` is one rank's, whose other
/// components count, and `gpus` has each GPU once. Without the reading of one GPU there is none of them all: a part
/// would be a wrong sum.
std::vector<IdlePower> idle_of_machine(std::vector<IdlePower> own, const std::vector<std::optional<IdlePower>>& gpus);

}  // namespace txtsum::metrics
