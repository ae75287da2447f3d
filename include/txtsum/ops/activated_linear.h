#pragma once

#include "txtsum/ops/activation.h"
#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

/// dropout(f(x + bias)) W^T: the activation and the product behind it. x: [N, F]; bias: [F] or index -1; weight: [O,
/// F]. Returns [N, O]. On a GPU x alone is saved, and the activation's result is made again in the pass that makes x's
/// gradient: a quarter less memory for activations in a transformer's feed-forward layers.
at::Tensor activated_linear(const at::Tensor& x_NF, const ParamRef& bias_F, Activation kind, const DropoutKey& dropout,
                            const ParamRef& weight_OF);

}  // namespace txtsum::ops
