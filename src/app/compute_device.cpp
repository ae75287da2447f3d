#include "app/compute_device.h"

#include <unistd.h>

#include <set>
#include <string>
#include <utility>

#include "app/gpu_driver.h"
#include "app/run_ledger.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"
#include "txtsum/core/log.h"
#include "txtsum/metrics/nvml.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::app {
namespace {

void require_driver() {
  const metrics::NvmlLibrary nvml = metrics::open_nvml();
  const std::string version = nvml.nvml ? nvml.nvml->driver_version().value.value_or("") : "";
  const std::string problem = driver_problem(ops::driver_facts(), version);
  if (!problem.empty()) throw core::EnvironmentError("run.device=cuda: " + problem);
}

void add_process(std::vector<metrics::UsedGpu>& gpus, const std::string& pci_bus_id, uint32_t process) {
  for (metrics::UsedGpu& gpu : gpus) {
    if (gpu.pci_bus_id == pci_bus_id) return gpu.process_ids.push_back(process);
  }
  gpus.push_back({pci_bus_id, {process}});
}

core::Json gpu_idle_json(const std::vector<metrics::IdlePower>& idle) {
  for (const metrics::IdlePower& power : idle) {
    if (power.component != metrics::EnergyComponent::kGpu) continue;
    return {{"watts", power.watts}, {"seconds", power.seconds}, {"source", power.source}};
  }
  return nullptr;
}

std::optional<metrics::IdlePower> gpu_idle_from_json(const core::Json& json) {
  if (json.is_null()) return std::nullopt;
  return metrics::IdlePower{metrics::EnergyComponent::kGpu, json.at("watts").get<double>(),
                            json.at("seconds").get<double>(), json.at("source").get<std::string>()};
}

}  // namespace

ComputeDevice open_device(config::Device device, const parallel::RankEnvironment& rank) {
  ComputeDevice result;
  if (device == config::Device::kCpu) {
    ops::use_device(result.device);
    return result;
  }
  if (!ops::built_for_gpus()) {
    throw core::UserError(
        "run.device=cuda: this binary has no code for GPUs. Build it with `cmake --preset cuda`, or set "
        "run.device=cpu");
  }
  require_driver();
  const std::vector<ops::DeviceFacts> gpus = ops::visible_gpus();
  result.device = parallel::device_of_rank(rank, /*on_gpu=*/true);
  result.gpu = gpus.at(static_cast<size_t>(result.device.index()));
  if (const std::string problem = architecture_problem(*result.gpu, ops::built_architectures()); !problem.empty()) {
    throw core::EnvironmentError("run.device=cuda: " + problem);
  }
  result.gpus_here = {{result.gpu->pci_bus_id, {static_cast<uint32_t>(getpid())}}};
  ops::use_device(result.device);
  return result;
}

void count_devices(ComputeDevice& device, parallel::Communicator& ranks) {
  if (ranks.world() == 1) return;
  const std::string here = host_name();
  const core::Json own{{"host", here},
                       {"gpu", device.gpu ? device.gpu->pci_bus_id : ""},
                       {"process", getpid()},
                       {"idle", gpu_idle_json(device.idle)}};
  std::set<std::string> hosts, places;
  std::vector<std::optional<metrics::IdlePower>> idle;  // of each GPU here, by the first rank that has it
  device.gpus_here.clear();
  for (const std::string& bytes : ranks.gather_bytes(core::to_line(own))) {
    const core::Json found = core::Json::parse(bytes);
    const auto host = found.at("host").get<std::string>(), gpu = found.at("gpu").get<std::string>();
    hosts.insert(host);
    places.insert(host + " " + gpu);
    if (gpu.empty() || host != here) continue;
    add_process(device.gpus_here, gpu, found.at("process").get<uint32_t>());
    if (idle.size() < device.gpus_here.size()) idle.push_back(gpu_idle_from_json(found.at("idle")));
  }
  device.devices = static_cast<int>(places.size());
  device.idle = metrics::idle_of_machine(std::move(device.idle), idle);
  if (hosts.size() == 1 || ranks.rank() != 0) return;
  core::log_warning("the ranks are on " + std::to_string(hosts.size()) +
                    " machines: energy, carbon and cost are those of " + here +
                    " alone; multiply by their number where they are alike");
}

}  // namespace txtsum::app
