#pragma once

#include "txtsum/ops/activation.h"
#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

/// dropout(f(a) * b) W^T: a gate (Shazeer 2020, eq. 5) and the product behind it. x: [N, 2 F], a and b side by side;
/// weight: [O, F]. Returns [N, O]. x alone is saved; backward makes the gate's result again.
at::Tensor gated_linear(const at::Tensor& x_NE, Activation kind, const DropoutKey& dropout, const ParamRef& weight_OF);

}  // namespace txtsum::ops
