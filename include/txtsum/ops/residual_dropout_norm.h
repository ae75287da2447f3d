#pragma once

#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

/// y = LayerNorm(residual + dropout(x)) * scale + shift over the last dimension, statistics in fp32 (Ba et al. 2016,
/// eq. 4, with epsilon inside the root as PyTorch has it). x: [N, D]; residual: [N, D] or undefined for none; scale,
/// shift: [D]. Returns [N, D] in x's type. Saves residual + dropout(x), mean and 1 / deviation; the mask is drawn again
/// in backward.
at::Tensor residual_dropout_norm(const at::Tensor& x_ND, const at::Tensor& residual_ND, const ParamRef& scale_D,
                                 const ParamRef& shift_D, double epsilon, const DropoutKey& dropout);

}  // namespace txtsum::ops
