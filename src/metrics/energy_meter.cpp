#include "txtsum/metrics/energy_meter.h"

#include "metrics/gpu_meter.h"
#include "metrics/modelled_meter.h"
#include "metrics/rapl_meter.h"
#include "txtsum/core/error.h"

namespace txtsum::metrics {

std::string_view energy_component_name(EnergyComponent component) {
  switch (component) {
    case EnergyComponent::kGpu:
      return "gpu";
    case EnergyComponent::kCpu:
      return "cpu";
    case EnergyComponent::kRam:
      return "ram";
    case EnergyComponent::kOther:
      break;
  }
  return "other";
}

EnergyComponent energy_component_from_name(const std::string& name) {
  for (const EnergyComponent component :
       {EnergyComponent::kGpu, EnergyComponent::kCpu, EnergyComponent::kRam, EnergyComponent::kOther}) {
    if (name == energy_component_name(component)) return component;
  }
  throw core::DataError("unknown energy component '" + name + "'; wanted gpu, cpu, ram or other");
}

MeterSet make_meters(const EnergyOptions& options, const std::vector<std::string>& pci_bus_ids,
                     const std::shared_ptr<Nvml>& nvml, const std::string& nvml_problem, const core::Clock& clock) {
  MeterSet set;
  add_gpu_meters(set, options, pci_bus_ids, nvml, nvml_problem, clock);
  RaplTree tree = scan_rapl(options.rapl_root);
  if (tree.packages.empty()) {
    add_cpu_model(set, options, tree.package_problem, clock);
  } else {
    set.meters.push_back(std::make_unique<RaplMeter>(EnergyComponent::kCpu, std::move(tree.packages), tree.note));
  }
  if (tree.drams.empty()) {
    add_ram_model(set, options, tree.dram_problem, clock);
  } else {
    set.meters.push_back(std::make_unique<RaplMeter>(EnergyComponent::kRam, std::move(tree.drams), tree.note));
  }
  add_constant_meter(set, options, clock);
  return set;
}

}  // namespace txtsum::metrics
