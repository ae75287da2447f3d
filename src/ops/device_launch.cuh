#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace txtsum::ops::cuda {

/// Throws where the launch before it was refused.
inline void check_launch(const char* kernel) {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string("CUDA kernel ") + kernel + ": " + cudaGetErrorString(status));
  }
}

/// Multiprocessors of the current device.
inline int multiprocessors() {
  int device = 0, count = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return count;
}

}  // namespace txtsum::ops::cuda
