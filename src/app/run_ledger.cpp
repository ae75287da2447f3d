#include "app/run_ledger.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "txtsum/config/field.h"
#include "txtsum/core/build_info.h"
#include "txtsum/metrics/host_sampler.h"
#include "txtsum/parallel/make_communicator.h"
#include "txtsum/parallel/rank_environment.h"

namespace txtsum::app {
namespace {

metrics::EnergyOptions energy_options(const config::ResourcesConfig& resources) {
  metrics::EnergyOptions options;
  options.rapl_root = resources.rapl_root;
  options.cpu_tdp_watts = resources.cpu_tdp_watts;
  options.gpu_tdp_watts = resources.gpu_tdp_watts;
  options.ram_watts_per_gib = resources.ram_watts_per_gib;
  options.constant_watts = resources.constant_watts;
  return options;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

metrics::MeterSet open_meters(const config::ResourcesConfig& resources, const std::vector<std::string>& pci_bus_ids,
                              const core::Clock& clock) {
  // A run on the CPU uses no GPU, so none is asked for its energy.
  if (pci_bus_ids.empty()) return metrics::make_meters(energy_options(resources), {}, nullptr, "no GPU is used", clock);
  const metrics::NvmlLibrary nvml = metrics::open_nvml();
  return metrics::make_meters(energy_options(resources), pci_bus_ids, nvml.nvml, nvml.problem, clock);
}

std::vector<metrics::IdlePower> idle_power(const config::ExperimentConfig& config, const core::Clock& clock) {
  std::vector<std::string> gpus;
  if (config.run.device == config::Device::kCuda) {
    const std::vector<ops::DeviceFacts> visible = ops::visible_gpus();
    if (!visible.empty()) {
      const c10::Device own = parallel::device_of_rank(parallel::rank_environment(), /*on_gpu=*/true);
      gpus = {visible.at(static_cast<size_t>(own.index())).pci_bus_id};
    }
  }
  return metrics::read_idle_power(open_meters(config.resources, gpus, clock), clock, [](double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  });
}

std::unique_ptr<metrics::Ledger> start_ledger(const config::ResourcesConfig& resources, const ComputeDevice& device,
                                              const std::string& attempts_folder, const core::Clock& clock) {
  std::vector<std::string> bus_ids;
  for (const metrics::UsedGpu& gpu : device.gpus_here) bus_ids.push_back(gpu.pci_bus_id);
  metrics::LedgerOptions options;
  options.attempts_folder = attempts_folder;
  options.sample_period_seconds = resources.sampling_seconds;
  options.host_name = host_name();
  options.device_count = device.devices;
  if (device.gpu) {
    options.device_name = device.gpu->name;
    options.take_peak_device_bytes = ops::take_peak_device_bytes;
    options.synchronize_device = [place = device.device] { ops::synchronize(place); };
    if (const metrics::NvmlLibrary nvml = metrics::open_nvml(); nvml.nvml) {
      options.device_utilisation = metrics::nvml_utilisation_reader(nvml.nvml, bus_ids);
      options.device_sharing = [nvml = nvml.nvml, gpus = device.gpus_here] {
        return metrics::read_sharing(nvml, gpus);
      };
    }
  }
  options.idle = device.idle;
  return std::make_unique<metrics::Ledger>(options, open_meters(resources, bus_ids, clock), clock);
}

metrics::CarbonOptions carbon_options(const config::ResourcesConfig& resources) {
  metrics::CarbonOptions options;
  options.region = resources.region.value_or("");
  options.grams_per_kwh = resources.grams_per_kwh;
  options.pue = resources.pue;
  return options;
}

metrics::CostOptions cost_options(const config::ResourcesConfig& resources) {
  metrics::CostOptions options;
  options.vm_size = resources.vm_size.value_or("");
  options.region = resources.region.value_or("");
  options.priority = config::name_of(resources.priority);
  options.usd_per_hour = resources.usd_per_hour;
  return options;
}

metrics::DevicePeakOptions device_peak_options(const config::ResourcesConfig& resources) {
  metrics::DevicePeakOptions options;
  options.peak_tflops = resources.peak_tflops;
  return options;
}

metrics::AttemptFiles all_attempts(const std::string& attempts_folder, metrics::Ledger& ledger) {
  metrics::AttemptFiles files = metrics::read_attempts(attempts_folder);
  const metrics::AttemptRecord now = ledger.record();
  std::erase_if(files.attempts, [&](const metrics::AttemptRecord& attempt) { return attempt.attempt == now.attempt; });
  files.attempts.push_back(now);
  return files;
}

metrics::Footprint current_footprint(const config::ResourcesConfig& resources, const std::string& attempts_folder,
                                     metrics::Ledger& ledger) {
  return metrics::footprint_of(all_attempts(attempts_folder, ledger),
                               metrics::find_carbon_intensity(carbon_options(resources)),
                               metrics::find_price(cost_options(resources)), 1);
}

core::Json describe_environment(int threads, const ComputeDevice& device) {
  utsname system{};
  uname(&system);
  const core::BuildInfo& build = core::build_info();
  core::Json json{{"host", host_name()},
                  {"os", std::string(system.sysname) + " " + system.release},
                  {"machine", system.machine},
                  {"cpu_model", metrics::cpu_model_name()},
                  {"cpu_count", std::thread::hardware_concurrency()},
                  {"threads", threads},
                  {"memory_bytes", nullptr},
                  {"device", device.gpu ? device.gpu->name : "cpu"},
                  {"txtsum_version", build.version},
                  {"build_type", build.build_type},
                  {"compiler", build.compiler},
                  {"libtorch_version", build.libtorch_version}};
  if (const auto bytes = metrics::machine_memory_bytes()) json["memory_bytes"] = *bytes;
  if (device.gpu) {
    json["device_memory_bytes"] = device.gpu->memory_bytes;
    json["device_capability"] = std::to_string(device.gpu->major) + "." + std::to_string(device.gpu->minor);
  }
  for (const char* name : {"AZUREML_RUN_ID", "AZUREML_ARM_WORKSPACE_NAME"}) {
    if (const char* value = std::getenv(name)) json[name] = value;
  }
  return json;
}

}  // namespace txtsum::app
