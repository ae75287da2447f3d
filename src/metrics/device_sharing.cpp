#include "txtsum/metrics/device_sharing.h"

#include <algorithm>
#include <set>

namespace txtsum::metrics {
namespace {

DeviceSharing sharing_of(Nvml& nvml, Nvml::Device device, const UsedGpu& gpu) {
  DeviceSharing sharing;
  sharing.device = nvml.name(device).value.value_or("GPU") + " " + canonical_pci_bus_id(gpu.pci_bus_id);
  sharing.mig = nvml.mig_enabled(device).value;
  const NvmlAnswer<std::vector<uint32_t>> listed = nvml.process_ids(device);
  if (!listed.value) {
    sharing.note = "other processes are not known: " + listed.problem;
  } else if (listed.value->empty() && !gpu.process_ids.empty()) {
    sharing.note = "other processes are not known: the driver lists none here, not even this one (a container?)";
  } else {
    sharing.other_processes = count_others(*listed.value, gpu.process_ids);
  }
  return sharing;
}

}  // namespace

int count_others(const std::vector<uint32_t>& listed, const std::vector<uint32_t>& own) {
  const std::set<uint32_t> all(listed.begin(), listed.end());
  const std::set<uint32_t> ours(own.begin(), own.end());
  size_t known = 0;
  for (const uint32_t id : ours) known += all.count(id);
  if (known == 0) known = std::min(ours.size(), all.size());
  return static_cast<int>(all.size() - known);
}

std::vector<DeviceSharing> read_sharing(const std::shared_ptr<Nvml>& nvml, const std::vector<UsedGpu>& gpus) {
  std::vector<DeviceSharing> reading;
  if (!nvml) return reading;
  for (const UsedGpu& gpu : gpus) {
    if (const auto device = nvml->device_by_pci_bus_id(gpu.pci_bus_id); device.value) {
      reading.push_back(sharing_of(*nvml, *device.value, gpu));
    }
  }
  return reading;
}

void add_reading(std::vector<DeviceSharing>& sharing, const std::vector<DeviceSharing>& reading) {
  for (const DeviceSharing& now : reading) {
    const auto same = std::find_if(sharing.begin(), sharing.end(),
                                   [&](const DeviceSharing& before) { return before.device == now.device; });
    if (same == sharing.end()) {
      sharing.push_back(now);
      continue;
    }
    if (now.mig) same->mig = same->mig.value_or(false) || *now.mig;
    if (now.other_processes) {
      same->other_processes = std::max(same->other_processes.value_or(0), *now.other_processes);
      same->note.clear();
    }
  }
}

std::vector<std::string> sharing_doubts(const std::vector<DeviceSharing>& sharing) {
  std::vector<std::string> doubts;
  for (const DeviceSharing& device : sharing) {
    if (device.mig.value_or(false)) {
      doubts.push_back(device.device + ": MIG is on, and the card's counters cover all its slices");
    }
    if (const int others = device.other_processes.value_or(0); others > 0) {
      doubts.push_back(device.device + ": up to " + std::to_string(others) +
                       " other processes were on it, and the card's counters have theirs too");
    }
  }
  return doubts;
}

}  // namespace txtsum::metrics
