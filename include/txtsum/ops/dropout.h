#pragma once

#include "txtsum/ops/dropout_key.h"

namespace txtsum::ops {

/// Sets each element of x ([N, D]) to 0 with the key's probability and divides the others by 1 - probability. Returns x
/// itself when the key is inactive.
at::Tensor dropout(const at::Tensor& x_ND, const DropoutKey& key);

}  // namespace txtsum::ops
