#pragma once

#include "txtsum/ops/residual_dropout_norm.h"

// Pre-norm layers carry their sum along as a stream in fp32, whatever the type of the weights, and norm it before each
// product. N: tokens; D: model width.

namespace txtsum::ops {

struct StreamResult {
  at::Tensor stream_ND;  ///< stream + dropout(x + bias), fp32.
  at::Tensor normed_ND;  ///< Its norm in the weights' type.
};

/// Adds a product's result to the stream and norms the sum, in one pass; without a shift by the root of its mean square
/// alone. stream: [N, D] fp32; x: [N, D] in the weights'
/// type. See residual_dropout_norm for the norm and what is saved.
StreamResult add_and_norm(const at::Tensor& stream_ND, const at::Tensor& x_ND, const NormRefs& refs,
                          const DropoutKey& dropout);

/// The sum alone: stream + dropout(x + bias). `bias` may be none.
at::Tensor add_to_stream(const at::Tensor& stream_ND, const at::Tensor& x_ND, const ParamRef& bias_D,
                         const DropoutKey& dropout);

/// The norm alone, in the weights' type; refs.bias is not used.
at::Tensor norm_of_stream(const at::Tensor& stream_ND, const NormRefs& refs);

}  // namespace txtsum::ops
