#pragma once

#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

struct CrossEntropySums {
  at::Tensor loss;  ///< fp32 0-dim: sum over rows of (1 - s) * nll + s * mean over V of -log p; differentiable.
  at::Tensor nll;   ///< fp32 0-dim: sum over rows of -log p(label); detached.
};

/// Bytes of logits that one chunk of linear_cross_entropy may hold on `device`.
int64_t logits_chunk_bytes(const at::Device& device);

struct CrossEntropyOptions {
  int64_t vocabulary = 0;  ///< V
  double smoothing = 0.0;  ///< transformers' label_smoothing_factor
  /// fp32 [1], where x is: multiplies every gradient (a loss scale); undefined: 1.
  at::Tensor gradient_factor_1 = {};
};

/// Cross entropy of softmax(x W^T + bias) without holding the logits of all rows: rows go through in chunks, softmax in
/// fp32. x: [M, D]; weight: the first `vocabulary` rows of the view are used, padding rows are left out; bias: fp32 [V]
/// or undefined (a constant, not trained); labels: int64 [M] in [0, V); rows with a negative one
/// count nothing and get no gradient. With gradients on, dX and the gradient of the weight are made in this call for a
/// derivative of 1 of the loss: backward scales dX by the derivative that arrives, and must be called with 1 for the
/// weight to be right.
CrossEntropySums linear_cross_entropy(const at::Tensor& x_MD, const ParamRef& weight_VD, const at::Tensor& bias_V,
                                      const at::Tensor& labels_M, const CrossEntropyOptions& options);

}  // namespace txtsum::ops
