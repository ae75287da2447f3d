#pragma once

#include <c10/core/Device.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txtsum::ops {

/// One GPU as its driver describes it.
struct DeviceFacts {
  std::string name;
  std::string pci_bus_id;    ///< `domain:bus:device.function`
  int64_t memory_bytes = 0;  ///< All of it.
  int major = 0, minor = 0;  ///< Compute capability.
};

/// Whether this binary has code for GPUs at all.
bool built_for_gpus();

/// The GPU architectures that this binary has code for, as CMake names them (`75-real,80-real`); empty without any.
std::string built_architectures();

/// What CUDA says of the driver, before any GPU is opened. All zero in a binary without code for GPUs.
struct DriverFacts {
  int driver_cuda = 0;   ///< Newest CUDA that the driver, or what stands in front of it, serves: 13000; 0: no driver.
  int runtime_cuda = 0;  ///< CUDA of the runtime that is linked.
  int devices = 0;       ///< GPUs that the process sees.
  int error = 0;         ///< CUDA's number of what kept it from counting them; 0: nothing.
  std::string problem;   ///< Its words for that.
};
DriverFacts driver_facts();

/// The GPUs that the process sees (CUDA_VISIBLE_DEVICES narrows them); none in a binary without code for them or on a
/// machine without a driver.
std::vector<DeviceFacts> visible_gpus();

/// Major compute capability of the GPU that this thread works on; 0 in a binary without code for GPUs or on a machine
/// without one.
int current_gpu_major();

/// Makes `device` the one that this thread works on; on a GPU on a stream that graphs can be captured from. Call once,
/// before the first tensor is made, also for the CPU: it has MKL choose its kernels while one thread runs. Throws
/// c10::Error where a GPU cannot be opened.
void use_device(const c10::Device& device);

/// On a GPU: from now on kernels are chosen that add up in a fixed order, so that the same work gives the same bits.
/// Call before the first product.
void use_deterministic_kernels();

/// Waits until everything that was asked of the GPU is done. Does nothing on the CPU.
void synchronize(const c10::Device& device);

/// Whether an error that LibTorch threw means that memory ran out, of a GPU or of the host.
bool is_out_of_memory(const c10::Error& error);

/// What an error of that kind says it asked for (`2.00 GiB`); empty where it does not say.
std::string asked_memory(const c10::Error& error);

/// Memory of the current GPU.
struct DeviceMemory {
  int64_t total_bytes = 0;
  int64_t others_bytes = 0;  ///< Taken, but not by this process's tensors: other processes, the driver, libraries.
  int64_t peak_bytes = 0;    ///< Most that tensors held since take_peak_device_bytes().
};
/// None on a CPU.
std::optional<DeviceMemory> device_memory();

/// Most bytes that tensors held on the current GPU since the last call; none in a binary without code for GPUs.
std::optional<int64_t> take_peak_device_bytes();

/// Puts the generator that the attention libraries of a GPU draw dropout masks from to where (seed, update,
/// micro_batch) says.
void seed_device_generator(uint64_t seed, int64_t update, int64_t micro_batch);

/// How far the GPU's generator has been drawn; what is drawn from the same position again is the same.
uint64_t device_generator_offset();
void set_device_generator_offset(uint64_t offset);

}  // namespace txtsum::ops
