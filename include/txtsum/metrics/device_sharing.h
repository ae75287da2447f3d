#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/metrics/nvml.h"

namespace txtsum::metrics {

/// A GPU that the run uses on this machine.
struct UsedGpu {
  std::string pci_bus_id;
  std::vector<uint32_t> process_ids;  ///< Of the run's ranks that work on it.
};

/// Who shares a GPU with the run: its counters see them too.
struct DeviceSharing {
  std::string device;                  ///< Name and PCI bus id.
  std::optional<bool> mig;             ///< Whether the card is cut into MIG slices; none where NVML does not say.
  std::optional<int> other_processes;  ///< Most at once, in all readings; none where NVML does not list any process.
  std::string note;                    ///< Why something is not known.
};

/// How many of the processes that the driver lists are not the run's. In a container it may list them by the host's
/// numbers: where none of `own` is among them, as many as there are of `own` are taken for them.
int count_others(const std::vector<uint32_t>& listed, const std::vector<uint32_t>& own);

/// Asks NVML who is on each of the GPUs now; empty where there is no NVML.
std::vector<DeviceSharing> read_sharing(const std::shared_ptr<Nvml>& nvml, const std::vector<UsedGpu>& gpus);

/// Takes a later reading of the same GPUs into `sharing`.
void add_reading(std::vector<DeviceSharing>& sharing, const std::vector<DeviceSharing>& reading);

/// Why the counters of the GPUs count more than the run; empty where they do not, or nothing says so.
std::vector<std::string> sharing_doubts(const std::vector<DeviceSharing>& sharing);

}  // namespace txtsum::metrics
