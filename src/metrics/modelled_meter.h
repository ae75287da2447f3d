#pragma once

#include <functional>
#include <optional>
#include <string>

#include "txtsum/metrics/energy_meter.h"

namespace txtsum::metrics {

/// Stated watts times a share of use, integrated over the time between reads. Without a share the watts are constant.
class PowerModelMeter : public EnergyMeter {
 public:
  /// Share of full power (0 to 1) since it was last called; nothing when unknown.
  using Share = std::function<std::optional<double>()>;

  PowerModelMeter(EnergyComponent component, double watts, std::string source, std::string note, Share share,
                  const core::Clock& clock);
  MeterInfo info() const override;
  double read_joules() override;

 private:
  EnergyComponent component_;
  double watts_;
  std::string source_;
  std::string note_;
  Share share_;
  const core::Clock& clock_;
  double last_seconds_;
  double joules_ = 0;
};

/// Adds the model of a component that has no readable counter, or says what is missing. `reason` is why there is none.
void add_cpu_model(MeterSet& set, const EnergyOptions& options, const std::string& reason, const core::Clock& clock);
void add_ram_model(MeterSet& set, const EnergyOptions& options, const std::string& reason, const core::Clock& clock);
/// Adds resources.constant_watts where it is stated.
void add_constant_meter(MeterSet& set, const EnergyOptions& options, const core::Clock& clock);

}  // namespace txtsum::metrics
