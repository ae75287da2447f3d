#include "txtsum/metrics/nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "txtsum/core/error.h"

namespace txtsum::metrics {
namespace {

// NVML's header is not part of every CUDA toolkit; these are the ABI's types of the calls used here.
using Status = int;
constexpr Status kSuccess = 0;
struct UtilisationRates {
  unsigned int gpu;
  unsigned int memory;
};
struct MemoryInfo {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

struct ProcessInfo {
  unsigned int process_id;
  unsigned long long memory_bytes;
  unsigned int gpu_instance;
  unsigned int compute_instance;
};
constexpr Status kInsufficientSize = 7;
using ListProcesses = Status (*)(void*, unsigned int*, ProcessInfo*);

struct Functions {
  Status (*init)() = nullptr;
  Status (*shutdown)() = nullptr;
  const char* (*error_string)(Status) = nullptr;
  Status (*device_by_pci)(const char*, void**) = nullptr;
  Status (*name)(void*, char*, unsigned int) = nullptr;
  Status (*total_energy)(void*, unsigned long long*) = nullptr;
  Status (*power)(void*, unsigned int*) = nullptr;
  Status (*utilisation)(void*, UtilisationRates*) = nullptr;
  Status (*memory)(void*, MemoryInfo*) = nullptr;
  Status (*mig_mode)(void*, unsigned int*, unsigned int*) = nullptr;
  Status (*driver_version)(char*, unsigned int) = nullptr;
  ListProcesses computing = nullptr;
  ListProcesses drawing = nullptr;
};

template <typename Function>
void bind(void* handle, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, symbol));
}

Functions bind_all(void* handle) {
  Functions functions;
  bind(handle, "nvmlInit_v2", functions.init);
  bind(handle, "nvmlShutdown", functions.shutdown);
  bind(handle, "nvmlErrorString", functions.error_string);
  bind(handle, "nvmlDeviceGetHandleByPciBusId_v2", functions.device_by_pci);
  bind(handle, "nvmlDeviceGetName", functions.name);
  bind(handle, "nvmlDeviceGetTotalEnergyConsumption", functions.total_energy);
  bind(handle, "nvmlDeviceGetPowerUsage", functions.power);
  bind(handle, "nvmlDeviceGetUtilizationRates", functions.utilisation);
  bind(handle, "nvmlDeviceGetMemoryInfo", functions.memory);
  bind(handle, "nvmlDeviceGetMigMode", functions.mig_mode);
  bind(handle, "nvmlSystemGetDriverVersion", functions.driver_version);
  bind(handle, "nvmlDeviceGetComputeRunningProcesses_v3", functions.computing);
  bind(handle, "nvmlDeviceGetGraphicsRunningProcesses_v3", functions.drawing);
  return functions;
}

class DriverNvml : public Nvml {
 public:
  DriverNvml(void* handle, const Functions& functions) : handle_(handle), call_(functions) {}
  ~DriverNvml() override {
    if (call_.shutdown) call_.shutdown();
    dlclose(handle_);
  }
  DriverNvml(const DriverNvml&) = delete;
  DriverNvml& operator=(const DriverNvml&) = delete;

  NvmlAnswer<std::string> driver_version() override {
    return text(call_.driver_version,
                [&](char* buffer, unsigned int size) { return call_.driver_version(buffer, size); });
  }
  NvmlAnswer<Device> device_by_pci_bus_id(const std::string& pci_bus_id) override {
    void* device = nullptr;
    return answer<Device>(call_.device_by_pci, device,
                          [&] { return call_.device_by_pci(pci_bus_id.c_str(), &device); });
  }
  NvmlAnswer<std::string> name(Device device) override {
    return text(call_.name, [&](char* buffer, unsigned int size) { return call_.name(device, buffer, size); });
  }
  NvmlAnswer<uint64_t> total_energy_millijoules(Device device) override {
    unsigned long long energy = 0;
    return answer<uint64_t>(call_.total_energy, energy, [&] { return call_.total_energy(device, &energy); });
  }
  NvmlAnswer<uint32_t> power_milliwatts(Device device) override {
    unsigned int power = 0;
    return answer<uint32_t>(call_.power, power, [&] { return call_.power(device, &power); });
  }
  NvmlAnswer<NvmlUtilisation> utilisation(Device device) override {
    UtilisationRates rates{};
    const auto raw =
        answer<UtilisationRates>(call_.utilisation, rates, [&] { return call_.utilisation(device, &rates); });
    if (!raw.value) return {std::nullopt, raw.problem};
    return {NvmlUtilisation{rates.gpu / 100.0, rates.memory / 100.0}, ""};
  }
  NvmlAnswer<uint64_t> memory_used_bytes(Device device) override {
    MemoryInfo info{};
    const auto raw = answer<MemoryInfo>(call_.memory, info, [&] { return call_.memory(device, &info); });
    if (!raw.value) return {std::nullopt, raw.problem};
    return {info.used, ""};
  }
  NvmlAnswer<std::vector<uint32_t>> process_ids(Device device) override {
    std::set<uint32_t> all;
    for (const ListProcesses list : {call_.computing, call_.drawing}) {
      const auto some = processes(list, device);
      if (!some.value) return {std::nullopt, some.problem};
      for (const ProcessInfo& process : *some.value) all.insert(process.process_id);
    }
    return {std::vector<uint32_t>(all.begin(), all.end()), ""};
  }
  NvmlAnswer<bool> mig_enabled(Device device) override {
    unsigned int current = 0;
    unsigned int pending = 0;
    return answer<bool>(call_.mig_mode, current, [&] { return call_.mig_mode(device, &current, &pending); });
  }

 private:
  /// NVML says how many there are where the room does not do; a few more may have come until the next call.
  NvmlAnswer<std::vector<ProcessInfo>> processes(ListProcesses list, Device device) const {
    std::vector<ProcessInfo> found(64);
    unsigned int count = 0;
    const auto call = [&] {
      count = static_cast<unsigned int>(found.size());
      return list(device, &count, found.data());
    };
    if (list && call() == kInsufficientSize) found.resize(count + 64);
    auto result = answer<std::vector<ProcessInfo>>(list, found, call);
    if (result.value) result.value->resize(count);
    return result;
  }

  template <typename Function, typename Call>
  NvmlAnswer<std::string> text(Function function, const Call& call) const {
    std::string buffer(97, '\0');  // NVML_DEVICE_NAME_V2_BUFFER_SIZE and an end mark.
    auto result = answer<std::string>(function, buffer, [&] { return call(buffer.data(), 96U); });
    if (result.value) result.value->resize(result.value->find('\0'));
    return result;
  }

  // `result` is read after `call` has filled it.
  template <typename Value, typename Function, typename Result, typename Call>
  NvmlAnswer<Value> answer(Function function, const Result& result, const Call& call) const {
    if (!function) return {std::nullopt, "this driver's NVML does not have the call"};
    const Status status = call();
    if (status == kSuccess) return {static_cast<Value>(result), ""};
    return {std::nullopt, call_.error_string ? call_.error_string(status) : "NVML error " + std::to_string(status)};
  }

  void* handle_;
  Functions call_;
};

}  // namespace

NvmlLibrary open_nvml(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return {nullptr, "cannot open " + library + " (no NVIDIA driver on this machine)"};
  const Functions functions = bind_all(handle);
  if (!functions.init || !functions.device_by_pci) {
    dlclose(handle);
    return {nullptr, library + " lacks nvmlInit_v2 or nvmlDeviceGetHandleByPciBusId_v2"};
  }
  const Status status = functions.init();
  if (status != kSuccess) {
    const std::string reason = functions.error_string ? functions.error_string(status) : std::to_string(status);
    dlclose(handle);
    return {nullptr, "nvmlInit_v2 failed: " + reason};
  }
  return {std::make_shared<DriverNvml>(handle, functions), ""};
}

std::string canonical_pci_bus_id(const std::string& pci_bus_id) {
  unsigned int domain = 0;
  unsigned int bus = 0;
  unsigned int device = 0;
  unsigned int function = 0;
  int used = 0;
  const int fields = std::sscanf(pci_bus_id.c_str(), "%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &used);
  if (fields != 4 || static_cast<size_t>(used) != pci_bus_id.size()) {
    throw core::UserError("'" + pci_bus_id +
                          "' is not a PCI bus id; wanted domain:bus:device.function, as 0000:3b:00.0");
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%08x:%02x:%02x.%x", domain, bus, device, function);
  return text;
}

std::vector<std::string> distinct_devices(const std::vector<std::string>& pci_bus_ids) {
  std::vector<std::string> distinct;
  for (const std::string& id : pci_bus_ids) {
    const std::string canonical = canonical_pci_bus_id(id);
    if (std::find(distinct.begin(), distinct.end(), canonical) == distinct.end()) distinct.push_back(canonical);
  }
  return distinct;
}

std::function<std::optional<double>()> nvml_utilisation_reader(const std::shared_ptr<Nvml>& nvml,
                                                               const std::vector<std::string>& pci_bus_ids) {
  if (!nvml) return [] { return std::optional<double>(); };
  std::vector<Nvml::Device> devices;
  for (const std::string& id : distinct_devices(pci_bus_ids)) {
    if (const auto device = nvml->device_by_pci_bus_id(id); device.value) devices.push_back(*device.value);
  }
  return [nvml, devices]() -> std::optional<double> {
    double sum = 0;
    int answers = 0;
    for (const Nvml::Device device : devices) {
      const auto rates = nvml->utilisation(device);
      if (!rates.value) continue;
      sum += rates.value->device_share;
      ++answers;
    }
    if (answers == 0) return std::nullopt;
    return sum / answers;
  };
}

}  // namespace txtsum::metrics
