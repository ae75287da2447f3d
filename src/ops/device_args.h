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
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return Type::kFloat;
    case at::kBFloat16:
      return Type::kBFloat16;
    case at::kHalf:
      return Type::kHalf;
    default:
      TXTSUM_CHECK(false, "fp32, bf16 or fp16, found ", c10::toString(tensor.scalar_type()));
  }
  return Type::kFloat;
}

}  // namespace txtsum::ops::cuda
