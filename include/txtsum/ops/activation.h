#pragma once

#include <string>

#include "txtsum/ops/dropout_key.h"

namespace txtsum::ops {

enum class Activation { kGelu, kGeluTanh, kRelu, kSilu, kTanh };

/// The activation that config.json calls `name` (`gelu`, `gelu_new`, `gelu_pytorch_tanh`, `relu`, `silu`, `swish`,
/// `tanh`). Throws DataError naming those for any other.
Activation activation_named(const std::string& name);

/// dropout(f(x)), element by element; x: [N, F]. Saves x alone.
at::Tensor activation(const at::Tensor& x_NF, Activation kind, const DropoutKey& dropout);

}  // namespace txtsum::ops
