#pragma once

#include <memory>
#include <string>

#include "txtsum/metrics/energy_meter.h"

namespace txtsum::metrics {

/// Differences of NVML's energy counter of one card.
class NvmlCounterMeter : public EnergyMeter {
 public:
  /// `first_millijoules` is the counter's reading now.
  NvmlCounterMeter(std::shared_ptr<Nvml> nvml, Nvml::Device device, std::string label, uint64_t first_millijoules);
  MeterInfo info() const override;
  double read_joules() override;

 private:
  std::shared_ptr<Nvml> nvml_;
  Nvml::Device device_;
  std::string label_;
  uint64_t last_millijoules_;
  double joules_ = 0;
  int resets_ = 0;
  int failures_ = 0;
  std::string last_problem_;
};

/// NVML's power readings of one card, integrated by the trapezoid rule between reads.
class NvmlPowerMeter : public EnergyMeter {
 public:
  NvmlPowerMeter(std::shared_ptr<Nvml> nvml, Nvml::Device device, std::string label, std::string why_no_counter,
                 double first_watts, const core::Clock& clock);
  MeterInfo info() const override;
  double read_joules() override;

 private:
  std::shared_ptr<Nvml> nvml_;
  Nvml::Device device_;
  std::string label_;
  std::string why_no_counter_;
  const core::Clock& clock_;
  double last_watts_;
  double last_seconds_;
  double joules_ = 0;
  int failures_ = 0;
  std::string last_problem_;
};

/// Adds the best meter for each distinct device to `set`, or says what is missing.
void add_gpu_meters(MeterSet& set, const EnergyOptions& options, const std::vector<std::string>& pci_bus_ids,
                    const std::shared_ptr<Nvml>& nvml, const std::string& nvml_problem, const core::Clock& clock);

}  // namespace txtsum::metrics
