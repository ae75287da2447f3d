#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
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

/// Blocks that sum up rows, each for itself: they fill the device, but where rows are few the sums of the blocks must
/// not be more to write and read again than the rows were.
inline int64_t summing_blocks(int64_t rows) {
  constexpr int64_t kFewestRows = 4;
  return std::clamp<int64_t>((rows + kFewestRows - 1) / kFewestRows, 1, 2 * multiprocessors());
}

}  // namespace txtsum::ops::cuda
