#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace txtsum::ops {

/// Zeroed host memory, 1-D, for `device` to copy from and to without a detour: pinned where `device` is a GPU, and of
/// exactly that size. Pages are large where the system has such. Throws EnvironmentError where the system refuses to
/// pin so much.
at::Tensor host_zeros(int64_t numel, at::ScalarType dtype, const c10::Device& device);

}  // namespace txtsum::ops
