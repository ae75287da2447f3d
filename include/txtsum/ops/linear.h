#pragma once

#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

/// y = x W^T + b. x: [N, I]; weight: [O, I]; bias: [O], or index -1 for none. Returns [N, O] in x's type.
/// Backward adds dW and db to the gradient arena.
at::Tensor linear(const at::Tensor& x_NI, const ParamRef& weight_OI, const ParamRef& bias_O);

}  // namespace txtsum::ops
