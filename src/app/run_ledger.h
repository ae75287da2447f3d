#pragma once

#include <memory>
#include <string>

#include "app/compute_device.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/core/clock.h"
#include "txtsum/core/json.h"
#include "txtsum/metrics/carbon.h"
#include "txtsum/metrics/cost.h"
#include "txtsum/metrics/device_peak.h"
#include "txtsum/metrics/ledger.h"
#include "txtsum/metrics/run_totals.h"

namespace txtsum::app {

/// This machine's name; empty where it has none.
std::string host_name();

/// Starts the ledger of one attempt; call it before anything takes long. Its records go to `attempts_folder`.
std::unique_ptr<metrics::Ledger> start_ledger(const config::ResourcesConfig& resources, const ComputeDevice& device,
                                              const std::string& attempts_folder, const core::Clock& clock);

/// The meters of this machine, those of the GPUs with these PCI bus ids included.
metrics::MeterSet open_meters(const config::ResourcesConfig& resources, const std::vector<std::string>& pci_bus_ids,
                              const core::Clock& clock);

/// What this machine and the GPU that this rank will use draw before a run with this config: call it before the device
/// is opened. count_devices() adds the other ranks' GPUs. Takes a second where something is measured, no time where
/// nothing is.
std::vector<metrics::IdlePower> idle_power(const config::ExperimentConfig& config, const core::Clock& clock);

/// Section resources in the words of layer metrics.
metrics::CarbonOptions carbon_options(const config::ResourcesConfig& resources);
metrics::CostOptions cost_options(const config::ResourcesConfig& resources);
metrics::DevicePeakOptions device_peak_options(const config::ResourcesConfig& resources);

/// Time, energy, carbon and cost over all attempts of the run, this one as it is now.
metrics::Footprint current_footprint(const config::ResourcesConfig& resources, const std::string& attempts_folder,
                                     metrics::Ledger& ledger);

/// The attempts of the run, this one included as it is now.
metrics::AttemptFiles all_attempts(const std::string& attempts_folder, metrics::Ledger& ledger);

/// Machine and program: environment.json.
core::Json describe_environment(int threads, const ComputeDevice& device);

}  // namespace txtsum::app
