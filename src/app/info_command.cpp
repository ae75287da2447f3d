#include <ATen/Parallel.h>

#include <thread>

#include "app/command.h"
#include "app/run_ledger.h"
#include "txtsum/app/hub_cache.h"
#include "txtsum/app/table.h"
#include "txtsum/core/build_info.h"
#include "txtsum/core/json.h"
#include "txtsum/metrics/energy_meter.h"
#include "txtsum/metrics/host_sampler.h"
#include "txtsum/metrics/nvml.h"
#include "txtsum/model/model_folder.h"
#include "txtsum/ops/device.h"

namespace txtsum::app {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

core::Json collect() {
  const core::BuildInfo& build = core::build_info();
  const std::vector<ops::DeviceFacts> gpus = ops::visible_gpus();
  core::Json devices{"cpu"};
  for (const ops::DeviceFacts& gpu : gpus) devices.push_back("cuda (" + gpu.name + ", " + gpu.pci_bus_id + ")");
  core::Json json{{"txtsum", build.version},
                  {"build", std::string(build.build_type) + ", " + build.compiler},
                  {"libtorch", build.libtorch_version},
                  {"devices", devices},
                  {"cpu", metrics::cpu_model_name()},
                  {"cpu_count", std::thread::hardware_concurrency()},
                  {"threads", at::get_num_threads()}};
  if (const auto bytes = metrics::machine_memory_bytes()) {
    json["memory_gib"] = static_cast<double>(static_cast<int64_t>(static_cast<double>(*bytes) / kGib * 10.0)) / 10.0;
  }
  const metrics::NvmlLibrary nvml = metrics::open_nvml();
  json["nvml"] = nvml.nvml ? "found" : "not found: " + nvml.problem;
  json["built_for_gpus"] = ops::built_for_gpus();
  const metrics::MeterSet meters = open_meters({}, gpus, core::system_clock());
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

int run_info(bool as_json) {
  const core::Json json = collect();
  if (as_json) {
    print(core::to_pretty_text(json));
    return 0;
  }
  Table table;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_object()) {
      table.add_row({key, cell(value)});
      continue;
    }
    for (const auto& [name, inner] : value.items()) table.add_row({key + ", " + name, cell(inner)});
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
