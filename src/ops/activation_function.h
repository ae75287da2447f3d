#pragma once

#include <ATen/core/Tensor.h>

#include "txtsum/ops/activation.h"

namespace txtsum::ops {

/// f(x) by ATen.
at::Tensor activation_value(const at::Tensor& x, Activation kind);
/// d_out * f'(x) by ATen.
at::Tensor activation_gradient(const at::Tensor& d_out, const at::Tensor& x, Activation kind);

}  // namespace txtsum::ops
