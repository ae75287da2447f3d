#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace txtsum::metrics {

/// The answer of one NVML call: a value, or NVML's own words for why there is none.
template <typename Value>
struct NvmlAnswer {
  std::optional<Value> value;
  std::string problem;
};

struct NvmlUtilisation {
  double device_share = 0;  ///< Share of the last sampling period in which a kernel ran, 0 to 1.
  double memory_share = 0;  ///< Share of it in which device memory was read or written, 0 to 1.
};

/// The few NVML calls that the meters use, so that tests can stand in for the driver.
class Nvml {
 public:
  using Device = void*;
  virtual ~Nvml() = default;
  /// Of the driver, such as 580.65.06.
  virtual NvmlAnswer<std::string> driver_version() = 0;
  /// `pci_bus_id` as cudaDeviceGetPCIBusId writes it: NVML's order of devices ignores CUDA_VISIBLE_DEVICES.
  virtual NvmlAnswer<Device> device_by_pci_bus_id(const std::string& pci_bus_id) = 0;
  virtual NvmlAnswer<std::string> name(Device device) = 0;
  /// Millijoules since the driver was loaded (Volta and later).
  virtual NvmlAnswer<uint64_t> total_energy_millijoules(Device device) = 0;
  virtual NvmlAnswer<uint32_t> power_milliwatts(Device device) = 0;
  virtual NvmlAnswer<NvmlUtilisation> utilisation(Device device) = 0;
  /// Bytes in use on the device, by all processes.
  virtual NvmlAnswer<uint64_t> memory_used_bytes(Device device) = 0;
  /// Numbers of the processes that compute or draw on the card, each once.
  virtual NvmlAnswer<std::vector<uint32_t>> process_ids(Device device) = 0;
  /// True where the card is cut into MIG slices: its counters then cover all slices.
  virtual NvmlAnswer<bool> mig_enabled(Device device) = 0;
};

struct NvmlLibrary {
  std::shared_ptr<Nvml> nvml;  ///< Null when the library or the driver is missing.
  std::string problem;         ///< Why, then.
};

/// Opens NVML at run time; the program does not link against it.
NvmlLibrary open_nvml(const std::string& library = "libnvidia-ml.so.1");

/// `domain:bus:device.function` with an eight-digit lower-case domain, as one spelling of the ids that CUDA (four
/// digits) and NVML (eight digits) give. Throws UserError when `pci_bus_id` is not one.
std::string canonical_pci_bus_id(const std::string& pci_bus_id);

/// The canonical ids, each once, in order of first appearance.
std::vector<std::string> distinct_devices(const std::vector<std::string>& pci_bus_ids);

/// Reads the mean utilisation (0 to 1) of the devices that answer; nothing where none does.
std::function<std::optional<double>()> nvml_utilisation_reader(const std::shared_ptr<Nvml>& nvml,
                                                               const std::vector<std::string>& pci_bus_ids);

}  // namespace txtsum::metrics
