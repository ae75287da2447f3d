#pragma once

#include <ATen/core/Tensor.h>

namespace txtsum::ops {

/// gradient += d_out^T x, in the gradient's type. gradient: [O, I]; d_out: [N, O]; x: [N, I].
void add_product_gradient(const at::Tensor& gradient_OI, const at::Tensor& d_out_NO, const at::Tensor& x_NI);

/// gradient += the sum of d_out's rows, added up in fp32. gradient: [O]; d_out: [N, O].
void add_row_sums(const at::Tensor& gradient_O, const at::Tensor& d_out_NO);

}  // namespace txtsum::ops
