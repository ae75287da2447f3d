#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/core/clock.h"
#include "txtsum/metrics/figure.h"
#include "txtsum/metrics/nvml.h"

namespace txtsum::metrics {

/// What a meter's joules are booked under.
enum class EnergyComponent { kGpu, kCpu, kRam, kOther };
inline constexpr int kEnergyComponentCount = 4;

std::string_view energy_component_name(EnergyComponent component);

/// Parses what energy_component_name gives. Throws DataError on any other word.
EnergyComponent energy_component_from_name(const std::string& name);

/// What a meter is; stored in every attempt's record.
struct MeterInfo {
  EnergyComponent component = EnergyComponent::kOther;
  Provenance provenance = Provenance::kMissing;  ///< Never kMissing for a meter that runs.
  std::string source;                            ///< Counter, model or stated value, with the device.
  std::string note;                              ///< Resets, failed reads, what is left out.
};

/// A source of joules for one physical thing. Implementations hide wraps and resets of their counters.
class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  virtual MeterInfo info() const = 0;
  /// Joules since the meter was made; never goes back. A failed read returns the last value and leaves a note in
  /// info().
  virtual double read_joules() = 0;
};

/// A component, or one device of it, that no meter covers.
struct MissingMeter {
  EnergyComponent component = EnergyComponent::kOther;
  std::string reason;  ///< Why, and which config key or right would change it.
};

/// What make_meters found: each physical device is in at most one meter.
struct MeterSet {
  std::vector<std::unique_ptr<EnergyMeter>> meters;
  std::vector<MissingMeter> missing;
};

/// Config section `resources`, the part about energy.
struct EnergyOptions {
  std::string rapl_root = "/sys/class/powercap";
  std::string proc_root = "/proc";          ///< Read for the CPU's utilisation and the size of memory.
  std::optional<double> cpu_tdp_watts;      ///< Whole machine; used only where RAPL is not readable.
  std::optional<double> gpu_tdp_watts;      ///< Each device; used only where NVML gives neither energy nor power.
  std::optional<double> ram_watts_per_gib;  ///< Used only where RAPL has no dram domain.
  std::optional<double> constant_watts;     ///< Rest of the machine; added to the other components.
};

/// Picks one meter for each component:
///   GPU  NVML's energy counter; else NVML's power, integrated; else gpu_tdp_watts x utilisation; else missing;
///   CPU  RAPL packages; else cpu_tdp_watts x utilisation of the machine; else missing;
///   RAM  RAPL dram; else ram_watts_per_gib x installed memory; else missing;
///   rest constant_watts, where stated.
/// `pci_bus_ids` are those of all ranks of this host; a device named twice is counted once. `nvml` may be null; then
/// `nvml_problem` says why. The clock must outlive the meters.
MeterSet make_meters(const EnergyOptions& options, const std::vector<std::string>& pci_bus_ids,
                     const std::shared_ptr<Nvml>& nvml, const std::string& nvml_problem, const core::Clock& clock);

}  // namespace txtsum::metrics
