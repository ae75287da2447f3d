#pragma once

#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

/// The vectors of a norm, [D] each.
struct NormRefs {
  ParamRef scale;
  ParamRef shift;  ///< Index -1: none, and no mean is taken off (the RMS norm of Zhang and Sennrich 2019, eq. 4).
  ParamRef bias;   ///< Added to x first: that of the product that made x. Index -1: none.
  double epsilon = 1e-5;
};

/// y = LayerNorm(residual + dropout(x + bias)) * scale + shift over the last dimension, statistics in fp32 (Ba et al.
/// 2016, eq. 4, with epsilon inside the root as PyTorch has it). x: [N, D]; residual: [N, D] or undefined for none.
/// Returns [N, D] in x's type. Saves what is normalized, mean and 1 / deviation; the mask is drawn again in backward,
/// and the bias's gradient is added in the same pass. There has to be a shift.
at::Tensor residual_dropout_norm(const at::Tensor& x_ND, const at::Tensor& residual_ND, const NormRefs& refs,
                                 const DropoutKey& dropout);

}  // namespace txtsum::ops
