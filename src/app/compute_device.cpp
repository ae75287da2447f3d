#include "app/compute_device.h"

#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "app/run_ledger.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"
#include "txtsum/core/log.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::app {

ComputeDevice open_device(config::Device device, const parallel::RankEnvironment& rank) {
  ComputeDevice result;
  if (device == config::Device::kCpu) return result;
  if (!ops::built_for_gpus()) {
    throw core::UserError(
        "run.device=cuda: this binary has no code for GPUs. Build it with `cmake --preset cuda`, or set "
        "run.device=cpu");
  }
  const std::vector<ops::DeviceFacts> gpus = ops::visible_gpus();
  if (gpus.empty()) {
    throw std::runtime_error(
        "run.device=cuda: the driver shows this process no GPU (see nvidia-smi and CUDA_VISIBLE_DEVICES); or set "
        "run.device=cpu");
  }
  result.device = parallel::device_of_rank(rank, /*on_gpu=*/true);
  result.gpu = gpus.at(static_cast<size_t>(result.device.index()));
  result.gpus_here = {*result.gpu};
  ops::use_device(result.device);
  return result;
}

void count_devices(ComputeDevice& device, parallel::Communicator& ranks) {
  if (ranks.world() == 1) return;
  const std::string here = host_name();
  core::Json own{{"host", here}, {"gpu", device.gpu ? device.gpu->pci_bus_id : ""}};
  if (device.gpu) own["name"] = device.gpu->name;
  std::set<std::string> hosts, places;
  device.gpus_here.clear();
  for (const std::string& bytes : ranks.gather_bytes(core::to_line(own))) {
    const core::Json found = core::Json::parse(bytes);
    const auto host = found.at("host").get<std::string>(), gpu = found.at("gpu").get<std::string>();
    hosts.insert(host);
    const bool is_new = places.insert(host + " " + gpu).second;
    if (!is_new || gpu.empty() || host != here) continue;
    ops::DeviceFacts facts;
    facts.name = found.at("name").get<std::string>();
    facts.pci_bus_id = gpu;
    device.gpus_here.push_back(std::move(facts));
  }
  device.devices = static_cast<int>(places.size());
  if (hosts.size() == 1 || ranks.rank() != 0) return;
  core::log_warning("the ranks are on " + std::to_string(hosts.size()) +
                    " machines: energy, carbon and cost are those of " + here +
                    " alone; multiply by their number where they are alike");
}

}  // namespace txtsum::app
