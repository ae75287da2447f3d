#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/core/clock.h"
#include "txtsum/core/file.h"
#include "txtsum/metrics/energy_meter.h"
#include "txtsum/metrics/nvml.h"

namespace txtsum::tests {

class FakeClock : public core::Clock {
 public:
  double monotonic_seconds() const override { return now; }
  double unix_seconds() const override { return 1.7e9 + now; }
  double now = 100.0;
};

/// A card as NVML shows it; an unset answer is refused.
struct FakeCard {
  std::optional<uint64_t> millijoules = 5'000'000;
  std::optional<uint32_t> milliwatts = 100'000;
  std::optional<double> utilisation = 0.5;
  bool mig = false;
  std::optional<std::vector<uint32_t>> processes = std::vector<uint32_t>();
};

/// NVML over cards by canonical PCI bus id.
class FakeNvml : public metrics::Nvml {
 public:
  std::map<std::string, FakeCard> cards;

  metrics::NvmlAnswer<std::string> driver_version() override { return {"580.1", ""}; }
  metrics::NvmlAnswer<Device> device_by_pci_bus_id(const std::string& id) override {
    const auto found = cards.find(metrics::canonical_pci_bus_id(id));
    if (found == cards.end()) return {std::nullopt, "Not Found"};
    return {Device(&found->second), ""};
  }
  metrics::NvmlAnswer<std::string> name(Device) override { return {"Fake GPU", ""}; }
  metrics::NvmlAnswer<uint64_t> total_energy_millijoules(Device device) override {
    return answer(card(device).millijoules);
  }
  metrics::NvmlAnswer<uint32_t> power_milliwatts(Device device) override { return answer(card(device).milliwatts); }
  metrics::NvmlAnswer<metrics::NvmlUtilisation> utilisation(Device device) override {
    const auto share = card(device).utilisation;
    if (!share) return {std::nullopt, "Not Supported"};
    return {metrics::NvmlUtilisation{*share, 0.0}, ""};
  }
  metrics::NvmlAnswer<uint64_t> memory_used_bytes(Device) override { return {std::nullopt, "Not Supported"}; }
  metrics::NvmlAnswer<std::vector<uint32_t>> process_ids(Device device) override {
    return answer(card(device).processes);
  }
  metrics::NvmlAnswer<bool> mig_enabled(Device device) override { return {card(device).mig, ""}; }

 private:
  static FakeCard& card(Device device) { return *static_cast<FakeCard*>(device); }
  template <typename Value>
  static metrics::NvmlAnswer<Value> answer(const std::optional<Value>& value) {
    return {value, value ? "" : "Not Supported"};
  }
};

/// Joules that the test sets.
class ScriptedMeter : public metrics::EnergyMeter {
 public:
  ScriptedMeter(metrics::EnergyComponent component, metrics::Provenance provenance, std::shared_ptr<double> joules)
      : component_(component), provenance_(provenance), joules_(std::move(joules)) {}
  metrics::MeterInfo info() const override { return {component_, provenance_, "scripted meter", ""}; }
  double read_joules() override { return *joules_; }

 private:
  metrics::EnergyComponent component_;
  metrics::Provenance provenance_;
  std::shared_ptr<double> joules_;
};

/// A RAPL domain's folder as the kernel shows it.
inline void write_rapl_domain(const std::string& folder, const std::string& name, uint64_t energy, uint64_t range) {
  core::write_file(folder + "/name", name + "\n");
  core::write_file(folder + "/energy_uj", std::to_string(energy) + "\n");
  core::write_file(folder + "/max_energy_range_uj", std::to_string(range) + "\n");
}

inline void write_proc_stat(const std::string& root, uint64_t busy, uint64_t idle) {
  // user nice system idle iowait irq softirq steal guest guest_nice
  core::write_file(root + "/stat", "cpu  " + std::to_string(busy) + " 0 0 " + std::to_string(idle) + " 0 0 0 0 7 0\n");
}

}  // namespace txtsum::tests
