#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/parallel/make_communicator.h"

#ifdef TXTSUM_WITH_CUDA
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#endif

namespace txtsum::parallel {
namespace {

#ifdef TXTSUM_WITH_CUDA

int64_t visible_gpus() { return c10::cuda::device_count(); }

/// The same on two ranks where they have the same GPU.
std::string gpu_name(const c10::Device& device) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, device.index()));
  return std::string(host.data()) + '\n' + std::string(properties.uuid.bytes, sizeof properties.uuid.bytes);
}

#else

constexpr const char* kNoCuda = "this txtsum is built without CUDA: scripts/build.sh cuda builds one for GPUs";

int64_t visible_gpus() { return 0; }
std::string gpu_name(const c10::Device&) { throw core::EnvironmentError(kNoCuda); }

#endif

/// `ranks 0 and 2 have the same GPU`; empty where all have their own.
std::string shared_gpu(const std::vector<std::string>& names) {
  for (size_t second = 1; second < names.size(); ++second) {
    for (size_t first = 0; first < second; ++first) {
      if (names[first] != names[second]) continue;
      return "ranks " + std::to_string(first) + " and " + std::to_string(second) + " have the same GPU";
    }
  }
  return {};
}

}  // namespace

#ifndef TXTSUM_WITH_CUDA
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator>, const c10::Device&, double) {
  throw core::EnvironmentError(kNoCuda);
}
#endif

c10::Device device_of_rank(const RankEnvironment& environment, bool on_gpu) {
  if (!on_gpu) return c10::Device(c10::kCPU);
  const int64_t gpus = visible_gpus();
  if (gpus == 0) throw core::EnvironmentError("rank " + std::to_string(environment.rank) + " sees no GPU");
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(environment.local_rank % gpus));
}

std::unique_ptr<Communicator> make_communicator(const RankEnvironment& environment, const c10::Device& device,
                                                double deadline_seconds) {
  std::unique_ptr<Communicator> host = make_host_communicator(environment, deadline_seconds);
  if (!device.is_cuda() || environment.source == RankSource::kNone) return host;
  const std::string shared = shared_gpu(host->gather_bytes(gpu_name(device)));
  if (shared.empty()) return make_nccl_communicator(std::move(host), device, deadline_seconds);
  if (environment.rank == 0) {
    core::log_warning(shared + ", which NCCL refuses: the ranks exchange through host memory, which is slow");
  }
  return host;
}

}  // namespace txtsum::parallel
