#pragma once

// The operations on tensors that live on a GPU. A build without CUDA declares them and never calls them: on_gpu() is
// then false at compile time.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "txtsum/ops/activation.h"
#include "txtsum/ops/adamw_update.h"
#include "txtsum/ops/dropout_key.h"

namespace txtsum::ops {

#ifdef TXTSUM_WITH_CUDA
inline constexpr bool kWithCuda = true;
#else
inline constexpr bool kWithCuda = false;
#endif

/// residual + dropout(x) and its moments, as residual_dropout_norm saves them.
struct NormMoments {
  at::Tensor sum_ND, mean_N, inverse_N;
};

namespace cuda {

at::Tensor dropout(const at::Tensor& x_ND, const DropoutKey& key);

at::Tensor activation(const at::Tensor& x_NF, Activation kind, const DropoutKey& key);
at::Tensor activation_backward(const at::Tensor& d_out_NF, const at::Tensor& x_NF, Activation kind,
                               const DropoutKey& key);

at::Tensor embed(const at::Tensor& table_VD, const at::Tensor& positions_PD, const at::Tensor& ids_N,
                 const at::Tensor& places_N, double scale, int64_t offset);

/// gradient[row_numbers[n]] += factor * d_out[n]; rows of one number are added in fp32, in a fixed order.
void scatter_rows(const at::Tensor& gradient_VD, const at::Tensor& row_numbers_N, const at::Tensor& d_out_ND,
                  double factor);

/// LayerNorm(residual + dropout(x)). Fills `saved` where it is given.
at::Tensor norm(const at::Tensor& x_ND, const at::Tensor& residual_ND, const at::Tensor& scale_D,
                const at::Tensor& shift_D, double epsilon, const DropoutKey& key, NormMoments* saved);

struct NormGradients {
  at::Tensor d_x_ND, d_sum_ND;
  at::Tensor d_scale_D, d_shift_D;  ///< fp32
};
NormGradients norm_backward(const at::Tensor& d_out_ND, const NormMoments& saved, const at::Tensor& scale_D,
                            const DropoutKey& key);

struct RowLosses {
  at::Tensor loss_M, nll_M;  ///< fp32
};
/// Losses of rows of logits ([M, stride], the first `vocabulary` count); where `with_gradient`, the logits become the
/// derivative of the loss by them. Labels below 0 count nothing.
RowLosses cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V, const at::Tensor& labels_M,
                        int64_t vocabulary, double smoothing, bool with_gradient);

void adamw_update(const AdamWTensors& tensors, const std::vector<UpdateSpan>& spans, const AdamWScalars& scalars);
double gradient_norm(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans);

}  // namespace cuda
}  // namespace txtsum::ops
