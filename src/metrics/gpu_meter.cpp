#include "metrics/gpu_meter.h"

#include <utility>

#include "metrics/modelled_meter.h"

namespace txtsum::metrics {
namespace {

std::string failure_note(int failures, const std::string& problem) {
  if (failures == 0) return "";
  return std::to_string(failures) + " reads failed (" + problem + ")";
}

std::string joined(const std::string& first, const std::string& second) {
  if (first.empty() || second.empty()) return first + second;
  return first + "; " + second;
}

/// Share of time that kernels ran on one device; where NVML does not say, 1, and the source says so.
std::unique_ptr<EnergyMeter> tdp_meter(const EnergyOptions& options, const std::shared_ptr<Nvml>& nvml,
                                       const std::string& device_id, const std::string& label,
                                       const std::string& reason, const core::Clock& clock) {
  const auto utilisation = nvml_utilisation_reader(nvml, {device_id});
  const bool observed = utilisation().has_value();
  std::string source = "resources.gpu_tdp_watts x " +
                       std::string(observed ? "NVML utilisation" : "utilisation taken as 1") + ", " + label;
  return std::make_unique<PowerModelMeter>(EnergyComponent::kGpu, *options.gpu_tdp_watts, std::move(source), reason,
                                           observed ? utilisation : PowerModelMeter::Share(), clock);
}

struct Attempt {
  std::unique_ptr<EnergyMeter> meter;
  std::string problem;
};

Attempt nvml_meter(const std::shared_ptr<Nvml>& nvml, Nvml::Device device, const std::string& label,
                   const core::Clock& clock) {
  if (nvml->mig_enabled(device).value.value_or(false)) {
    return {nullptr, "MIG is on: the card's counters cover all its slices, not the one in use"};
  }
  const auto energy = nvml->total_energy_millijoules(device);
  if (energy.value) return {std::make_unique<NvmlCounterMeter>(nvml, device, label, *energy.value), ""};
  const auto power = nvml->power_milliwatts(device);
  if (power.value) {
    return {std::make_unique<NvmlPowerMeter>(nvml, device, label, energy.problem, *power.value / 1000.0, clock), ""};
  }
  return {nullptr, "NVML gives no energy (" + energy.problem + ") and no power (" + power.problem + ")"};
}

}  // namespace

NvmlCounterMeter::NvmlCounterMeter(std::shared_ptr<Nvml> nvml, Nvml::Device device, std::string label,
                                   uint64_t first_millijoules)
    : nvml_(std::move(nvml)), device_(device), label_(std::move(label)), last_millijoules_(first_millijoules) {}

MeterInfo NvmlCounterMeter::info() const {
  std::string note;
  if (resets_ > 0) {
    note = "the counter was reset " + std::to_string(resets_) + " times; at most one sampling period is lost at each";
  }
  return {EnergyComponent::kGpu, Provenance::kMeasured, "NVML energy counter, " + label_,
          joined(note, failure_note(failures_, last_problem_))};
}

double NvmlCounterMeter::read_joules() {
  const auto energy = nvml_->total_energy_millijoules(device_);
  if (!energy.value) {
    // The counter runs on: the next good read covers this window too.
    ++failures_;
    last_problem_ = energy.problem;
    return joules_;
  }
  const uint64_t now = *energy.value;
  if (now >= last_millijoules_) {
    joules_ += static_cast<double>(now - last_millijoules_) / 1000.0;
  } else {
    // 64 bits of millijoules do not wrap: a smaller value means that the driver was loaded again and counted from 0.
    ++resets_;
    joules_ += static_cast<double>(now) / 1000.0;
  }
  last_millijoules_ = now;
  return joules_;
}

NvmlPowerMeter::NvmlPowerMeter(std::shared_ptr<Nvml> nvml, Nvml::Device device, std::string label,
                               std::string why_no_counter, double first_watts, const core::Clock& clock)
    : nvml_(std::move(nvml)),
      device_(device),
      label_(std::move(label)),
      why_no_counter_(std::move(why_no_counter)),
      clock_(clock),
      last_watts_(first_watts),
      last_seconds_(clock.monotonic_seconds()) {}

MeterInfo NvmlPowerMeter::info() const {
  return {EnergyComponent::kGpu, Provenance::kMeasured, "NVML power, sampled and integrated, " + label_,
          joined("no energy counter (" + why_no_counter_ + "); peaks between samples are not seen",
                 failure_note(failures_, last_problem_))};
}

double NvmlPowerMeter::read_joules() {
  const auto power = nvml_->power_milliwatts(device_);
  if (!power.value) {
    // The trapezoid of the next good read spans the gap.
    ++failures_;
    last_problem_ = power.problem;
    return joules_;
  }
  const double watts = *power.value / 1000.0;
  const double now = clock_.monotonic_seconds();
  joules_ += 0.5 * (last_watts_ + watts) * (now - last_seconds_);
  last_watts_ = watts;
  last_seconds_ = now;
  return joules_;
}

void add_gpu_meters(MeterSet& set, const EnergyOptions& options, const std::vector<std::string>& pci_bus_ids,
                    const std::shared_ptr<Nvml>& nvml, const std::string& nvml_problem, const core::Clock& clock) {
  for (const std::string& id : distinct_devices(pci_bus_ids)) {
    std::string label = id;
    Attempt attempt{nullptr, nvml_problem};
    if (nvml) {
      const auto device = nvml->device_by_pci_bus_id(id);
      if (device.value) {
        label = nvml->name(*device.value).value.value_or("GPU") + " " + id;
        attempt = nvml_meter(nvml, *device.value, label, clock);
      } else {
        attempt.problem = "NVML does not know the device: " + device.problem;
      }
    }
    if (!attempt.meter && options.gpu_tdp_watts) {
      attempt.meter = tdp_meter(options, nvml, id, label, attempt.problem, clock);
    }
    if (attempt.meter) {
      set.meters.push_back(std::move(attempt.meter));
    } else {
      set.missing.push_back(
          {EnergyComponent::kGpu, label + ": " + attempt.problem + ". Set resources.gpu_tdp_watts to model it."});
    }
  }
}

}  // namespace txtsum::metrics
