#pragma once

#include <string>

#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

enum class Activation { kGelu, kGeluTanh, kRelu, kSilu, kTanh };

/// The activation that config.json calls `name` (`gelu`, `gelu_new`, `gelu_pytorch_tanh`, `relu`, `silu`, `swish`,
/// `tanh`). Throws DataError naming those for any other.
Activation activation_named(const std::string& name);

/// dropout(f(x + bias)), element by element; x: [N, F]; bias: [F], or index -1 for none. Saves x alone; backward adds
/// the bias's gradient in the same pass.
at::Tensor activation(const at::Tensor& x_NF, const ParamRef& bias_F, Activation kind, const DropoutKey& dropout);

}  // namespace txtsum::ops
