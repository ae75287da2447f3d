#pragma once

// How tensors become the plain arguments of the kernels.

#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAStream.h>

#include "device_kernels.h"
#include "txtsum/core/check.h"

namespace txtsum::ops::cuda {

inline cudaStream_t stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

inline Type type_of(const at::Tensor& tensor) {
  TXTSUM_CHECK(tensor.is_cuda() && tensor.is_contiguous());
  TXTSUM_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16, "fp32 or bf16");
  return tensor.scalar_type() == at::kFloat ? Type::kFloat : Type::kBFloat16;
}

}  // namespace txtsum::ops::cuda
