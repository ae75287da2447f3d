#pragma once

#include <ATen/core/Tensor.h>

#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

/// The weight's gradient += d_out^T x, in the gradient's type. weight: [O, I]; d_out: [N, O]; x: [N, I]. Of a padded
/// vocabulary d_out may leave out the last rows, to which nothing is added.
void add_product_gradient(const ParamRef& weight_OI, const at::Tensor& d_out_NO, const at::Tensor& x_NI);

/// gradient += the sum of d_out's rows, added up in fp32. gradient: [O]; d_out: [N, O].
void add_row_sums(const at::Tensor& gradient_O, const at::Tensor& d_out_NO);

}  // namespace txtsum::ops
