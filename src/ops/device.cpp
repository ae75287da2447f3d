#include "txtsum/ops/device.h"

#include "device_ops.h"
#include "txtsum/core/check.h"
#include "txtsum/core/random.h"

#include <ATen/ops/cos.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/tanh.h>

#include <regex>

#ifdef TXTSUM_WITH_CUDA
#include <ATen/Context.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <array>
#include <cstdlib>
#include <mutex>
#endif

namespace txtsum::ops {
namespace {

/// Makes MKL choose its kernels for vectors of exp and the like while one thread runs. It chooses at the first call;
/// where that comes from several threads at once, one of them may compute its share with the kernel of lowest accuracy
/// (relative errors of 1e-4, once a process; pytorch/pytorch issue 188792).
void choose_cpu_kernels() {
  const at::Tensor one = at::ones({1});
  for (const auto function : {at::exp, at::log, at::tanh, at::erf, at::sqrt, at::sin, at::cos}) function(one);
}

}  // namespace

bool is_out_of_memory(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.find("out of memory") != std::string::npos || text.find("not enough memory") != std::string::npos;
}

std::string asked_memory(const c10::Error& error) {
  static const std::regex asked(R"(Tried to allocate ([0-9.]+ [KMGT]?i?B)|you tried to allocate ([0-9]+ bytes))");
  const std::string text = error.what_without_backtrace();
  std::smatch found;
  if (!std::regex_search(text, found, asked)) return {};
  return found[1].matched ? found[1].str() : found[2].str();
}

bool built_for_gpus() { return kWithCuda; }

#ifdef TXTSUM_WITH_CUDA

namespace {

template <typename Body>
auto with_generator(const Body& body) {
  at::Generator generator = at::cuda::detail::getDefaultCUDAGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return body(generator);
}

}  // namespace

std::string built_architectures() { return TXTSUM_CUDA_ARCHITECTURES; }

DriverFacts driver_facts() {
  DriverFacts facts;
  if (cudaDriverGetVersion(&facts.driver_cuda) != cudaSuccess) facts.driver_cuda = 0;
  if (cudaRuntimeGetVersion(&facts.runtime_cuda) != cudaSuccess) facts.runtime_cuda = CUDART_VERSION;
  const cudaError_t error = cudaGetDeviceCount(&facts.devices);
  facts.error = static_cast<int>(error);
  if (error != cudaSuccess) {
    facts.devices = 0;
    facts.problem = cudaGetErrorString(error);
  }
  cudaGetLastError();  // clears it: the caller decides what follows
  return facts;
}

std::vector<DeviceFacts> visible_gpus() {
  std::vector<DeviceFacts> found;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // clears it: no driver is no error here
    return found;
  }
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties{};
    std::array<char, 32> bus{};
    if (cudaGetDeviceProperties(&properties, index) != cudaSuccess) continue;
    if (cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), index) != cudaSuccess) continue;
    found.push_back({properties.name, bus.data(), static_cast<int64_t>(properties.totalGlobalMem), properties.major,
                     properties.minor});
  }
  return found;
}

int current_gpu_major() {
  int device = 0, major = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess) {
    cudaGetLastError();  // clears it: a CPU may be all there is
    return 0;
  }
  return major;
}

void use_device(const c10::Device& device) {
  choose_cpu_kernels();
  if (!device.is_cuda()) return;
  at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
  const c10::DeviceIndex index = device.has_index() ? device.index() : c10::DeviceIndex{0};
  c10::cuda::set_device(index);
  c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index));
}

void use_deterministic_kernels() {
  // cuBLAS repeats itself where its workspaces have a fixed size; a user's own setting stays.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::Context& context = at::globalContext();
  // Only warned, the attention libraries would go on with their other kernels.
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);  // every element is written anyway
}

void synchronize(const c10::Device& device) {
  if (device.is_cuda()) c10::cuda::device_synchronize();
}

std::optional<int64_t> take_peak_device_bytes() {
  const c10::DeviceIndex device = c10::cuda::current_device();
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device);
  const int64_t peak = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  c10::cuda::CUDACachingAllocator::resetPeakStats(device);
  return peak;
}

std::optional<DeviceMemory> device_memory() {
  namespace allocator = c10::cuda::CUDACachingAllocator;
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) {
    cudaGetLastError();
    return std::nullopt;
  }
  const auto stats = allocator::getDeviceStats(c10::cuda::current_device());
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  DeviceMemory memory;
  memory.total_bytes = static_cast<int64_t>(total);
  memory.others_bytes = static_cast<int64_t>(total - free) - stats.reserved_bytes[kAll].current;
  memory.peak_bytes = stats.allocated_bytes[kAll].peak;
  return memory;
}

void seed_device_generator(uint64_t seed, int64_t update, int64_t micro_batch) {
  core::RandomStream words(seed, static_cast<uint64_t>(update) << 24 ^ static_cast<uint64_t>(micro_batch));
  const uint64_t high = words.next_u32();
  const uint64_t value = high << 32 | words.next_u32();
  with_generator([&](at::Generator& generator) { generator.set_current_seed(value); });
}

uint64_t device_generator_offset() {
  return with_generator([](at::Generator& generator) { return generator.get_offset(); });
}

void set_device_generator_offset(uint64_t offset) {
  with_generator([&](at::Generator& generator) { generator.set_offset(offset); });
}

#else

std::string built_architectures() { return {}; }

DriverFacts driver_facts() { return {}; }

std::vector<DeviceFacts> visible_gpus() { return {}; }

int current_gpu_major() { return 0; }

void use_device(const c10::Device& device) {
  TXTSUM_CHECK(!device.is_cuda(), "a binary without code for GPUs");
  choose_cpu_kernels();
}

void use_deterministic_kernels() {}

void synchronize(const c10::Device&) {}

std::optional<int64_t> take_peak_device_bytes() { return std::nullopt; }

std::optional<DeviceMemory> device_memory() { return std::nullopt; }

void seed_device_generator(uint64_t, int64_t, int64_t) {}

uint64_t device_generator_offset() { return 0; }

void set_device_generator_offset(uint64_t) {}

#endif

}  // namespace txtsum::ops
