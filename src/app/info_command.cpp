#include <ATen/Parallel.h>

#include <thread>

#include "app/command.h"
#include "app/gpu_driver.h"
#include "app/run_ledger.h"
#include "txtsum/app/hub_cache.h"
#include "txtsum/app/table.h"
#include "txtsum/core/build_info.h"
#include "txtsum/core/json.h"
#include "txtsum/metrics/device_sharing.h"
#include "txtsum/metrics/energy_meter.h"
#include "txtsum/metrics/host_sampler.h"
#include "txtsum/metrics/nvml.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/ops/device.h"

namespace txtsum::app {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

/// To a tenth below.
double rounded(double value) { return static_cast<double>(static_cast<int64_t>(value * 10.0)) / 10.0; }

core::Json gpu_json(const ops::DeviceFacts& gpu, const std::shared_ptr<metrics::Nvml>& nvml) {
  core::Json json{{"name", gpu.name},
                  {"pci_bus_id", gpu.pci_bus_id},
                  {"memory_gib", rounded(static_cast<double>(gpu.memory_bytes) / kGib)},
                  {"capability", std::to_string(gpu.major) + "." + std::to_string(gpu.minor)},
                  {"fused", fused_on(gpu.major)}};
  const std::string problem = architecture_problem(gpu, ops::built_architectures());
  json["code"] = problem.empty() ? "there" : problem;
  for (const metrics::DeviceSharing& sharing : metrics::read_sharing(nvml, {{gpu.pci_bus_id, {}}})) {
    if (sharing.mig) json["mig"] = *sharing.mig;
    if (sharing.other_processes) json["processes"] = *sharing.other_processes;
  }
  return json;
}

core::Json collect() {
  const core::BuildInfo& build = core::build_info();
  const std::vector<ops::DeviceFacts> gpus = ops::visible_gpus();
  core::Json devices{"cpu"};
  for (const ops::DeviceFacts& gpu : gpus) devices.push_back("cuda (" + gpu.name + ", " + gpu.pci_bus_id + ")");
  const metrics::NvmlLibrary nvml = metrics::open_nvml();
  core::Json json{{"txtsum", build.version},
                  {"build", std::string(build.build_type) + ", " + build.compiler},
                  {"libtorch", build.libtorch_version},
                  {"devices", devices},
                  {"cpu", metrics::cpu_model_name()},
                  {"cpu_count", std::thread::hardware_concurrency()},
                  {"threads", at::get_num_threads()}};
  if (const auto bytes = metrics::machine_memory_bytes()) {
    json["memory_gib"] = rounded(static_cast<double>(*bytes) / kGib);
  }
  json["nvml"] = nvml.nvml ? "found" : "not found: " + nvml.problem;
  json["built_for_gpus"] = ops::built_for_gpus();
  json["driver"] = driver_json(ops::driver_facts(), nvml.nvml ? nvml.nvml->driver_version().value.value_or("") : "");
  json["gpus"] = core::Json::array();
  std::vector<std::string> bus_ids;
  for (const ops::DeviceFacts& gpu : gpus) {
    json["gpus"].push_back(gpu_json(gpu, nvml.nvml));
    bus_ids.push_back(gpu.pci_bus_id);
  }
  const metrics::MeterSet meters = open_meters({}, bus_ids, core::system_clock());
  json["energy"] = core::Json::object();
  for (const auto& meter : meters.meters) {
    const metrics::MeterInfo info = meter->info();
    json["energy"][std::string(metrics::energy_component_name(info.component))] =
        std::string(metrics::provenance_name(info.provenance)) + ": " + info.source;
  }
  for (const metrics::MissingMeter& missing : meters.missing) {
    json["energy"][std::string(metrics::energy_component_name(missing.component))] = "missing: " + missing.reason;
  }
  json["model_families"] = model::known_families();
  json["hub_cache"] = hub_cache_folder();
  return json;
}

std::string cell(const core::Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return core::to_line(value);
  std::string text;
  for (const core::Json& item : value) text += (text.empty() ? "" : ", ") + cell(item);
  return text;
}

/// A row for each member, and for each item of a list.
void add_rows(Table& table, const std::string& key, const core::Json& object) {
  for (const auto& [name, inner] : object.items()) {
    if (!inner.is_array()) {
      table.add_row({key + ", " + name, cell(inner)});
      continue;
    }
    for (const core::Json& item : inner) table.add_row({key + ", " + name, cell(item)});
  }
}

int run_info(bool as_json) {
  const core::Json json = collect();
  if (as_json) {
    print(core::to_pretty_text(json));
    return 0;
  }
  Table table;
  for (const auto& [key, value] : json.items()) {
    if (key == "gpus") {
      for (size_t i = 0; i < value.size(); ++i) add_rows(table, "gpu " + std::to_string(i), value[i]);
    } else if (value.is_object()) {
      add_rows(table, key, value);
    } else {
      table.add_row({key, cell(value)});
    }
  }
  print(table.text());
  return 0;
}

}  // namespace

void add_info_command(CommandLine& line) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = add_command(line.program, "info", "What this program and this machine have.",
                                  worked_examples("txtsum info", "txtsum info --json"));
  command->add_flag("--json", *as_json, "Print one JSON object.");
  command->callback([&line, as_json] { line.run = [as_json] { return run_info(*as_json); }; });
}

}  // namespace txtsum::app
