#pragma once

// The CUDA kernels of gated feed-forward layers, on plain pointers (see device_kernels.h).

#include "device_kernels.h"

namespace txtsum::ops::cuda {

/// gated = dropout(f(a) * b); x: [rows, 2 width], a and b side by side; gated: [rows, width].
struct Gate {
  Type type = Type::kFloat;
  Function function = Function::kGelu;
  int64_t rows = 0, width = 0;
  const void* x = nullptr;
  void* gated = nullptr;
  Dropout dropout;
};
void gate(const Gate& forward, cudaStream_t stream);

/// The gradient of x, and `gated` once more.
struct GateBackward {
  Gate forward;
  const void* d_gated = nullptr;
  void* d_x = nullptr;
};
void gate_backward(const GateBackward& backward, cudaStream_t stream);

}  // namespace txtsum::ops::cuda
