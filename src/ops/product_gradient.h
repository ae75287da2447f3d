#pragma once

#include <ATen/core/Tensor.h>

namespace txtsum::ops {

/// gradient += d_out^T x, in the gradient's type. gradient: [O, I]; d_out: [N, O]; x: [N, I].
void add_product_gradient(const at::Tensor& gradient_OI, const at::Tensor& d_out_NO, const at::Tensor& x_NI);

}  // namespace txtsum::ops
