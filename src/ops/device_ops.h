#pragma once

// The operations on tensors that live on a GPU. A build without CUDA declares them and never calls them: on_gpu() is
// then false at compile time.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "txtsum/ops/activation.h"
#include "txtsum/ops/adamw_update.h"
#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/embed.h"
#include "txtsum/ops/linear_cross_entropy.h"
#include "txtsum/ops/ragged.h"

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

/// dropout(f(x + bias)); `bias` may be undefined.
at::Tensor activation(const at::Tensor& x_NF, const at::Tensor& bias_F, Activation kind, const DropoutKey& key);
/// What an activation's backward pass reads.
struct ActivationInputs {
  at::Tensor x_NF, bias_F;
  Activation kind = Activation::kGelu;
  DropoutKey key;
};
/// The gradient of x; adds its sums over rows to `bias_gradient_F` where that is defined. Where `activated_NF` is
/// defined, it takes the activation's result once more. `d_out_NF` may be where the gradient goes (`in_place`).
at::Tensor activation_backward(const at::Tensor& d_out_NF, const ActivationInputs& inputs,
                               const at::Tensor& bias_gradient_F, const at::Tensor& activated_NF = {},
                               bool in_place = false);

/// gated_linear.h's gate: dropout(f(a) * b), [N, F]. x: [N, 2 F].
at::Tensor gate(const at::Tensor& x_NE, Activation kind, const DropoutKey& key);
/// The gradient of x, and the gate's result once more.
std::pair<at::Tensor, at::Tensor> gate_backward(const at::Tensor& d_gated_NF, const at::Tensor& x_NE, Activation kind,
                                                const DropoutKey& key);

/// gradient[c] += sum over rows of x[r][c], in fp32.
void add_column_sums(const at::Tensor& gradient_C, const at::Tensor& x_NC);

/// gradient[row_numbers[n]] += factor * d_out[n]; rows of one number are added in fp32, in a fixed order.
void scatter_rows(const at::Tensor& gradient_VD, const at::Tensor& row_numbers_N, const at::Tensor& d_out_ND,
                  double factor);

/// gradient[p + offset] += the rows of d_out that stand at position p of their sequences.
void add_position_rows(const at::Tensor& gradient_PD, const RaggedTokens& tokens, const at::Tensor& d_out_ND,
                       int64_t offset);

/// What a norm reads beside its input; bias and residual may be undefined.
struct NormParameters {
  at::Tensor bias_D, residual_ND, scale_D, shift_D;
  double epsilon = 1e-5;
};
/// LayerNorm(residual + dropout(x + bias)). Fills `saved` where it is given.
at::Tensor norm(const at::Tensor& x_ND, const NormParameters& parameters, const DropoutKey& key, NormMoments* saved);

/// The rows that embed() makes; without a norm's scale and shift the sums as they are.
struct EmbedTables {
  at::Tensor table_VD, positions_PD, scale_D, shift_D;
  double epsilon = 1e-5;
};
/// dropout(LayerNorm(table[ids] * options.scale + positions[positions + offset])). Fills `saved` where it is given.
at::Tensor embed(const EmbedTables& tables, const RaggedTokens& tokens, const EmbedOptions& options,
                 const DropoutKey& key, NormMoments* saved);

/// Where the gradients of a norm's vectors are added; undefined ones are left out.
struct NormVectors {
  at::Tensor scale_D, shift_D, bias_D;
};
struct NormGradients {
  at::Tensor d_x_ND, d_sum_ND;
};
NormGradients norm_backward(const at::Tensor& d_out_ND, const NormMoments& saved, const at::Tensor& scale_D,
                            const DropoutKey& key, const NormVectors& gradients);

/// residual_stream.h on a GPU: the next stream and its norm (undefined without a scale; not centred without a shift). x
/// may be undefined, the stream is returned as it is then. Fills `saved` where it is given and there is a norm.
struct StreamVectors {
  at::Tensor bias_D, scale_D, shift_D;
  double epsilon = 1e-5;
};
std::pair<at::Tensor, at::Tensor> stream_forward(const at::Tensor& stream_ND, const at::Tensor& x_ND,
                                                 const StreamVectors& vectors, const DropoutKey& key,
                                                 NormMoments* saved);
/// Of the gradients of stream and norm one may be undefined.
struct StreamInputs {
  at::Tensor d_stream_ND, d_out_ND, scale_D;
  bool centred = true;
  bool adds = false;  ///< x was there, of type `x_type`.
  at::ScalarType x_type = at::kFloat;
};
struct StreamGradients {
  at::Tensor d_stream_ND, d_x_ND;
};
StreamGradients stream_backward(const StreamInputs& inputs, const NormMoments& saved, const DropoutKey& key,
                                const NormVectors& gradients);

struct RowLosses {
  at::Tensor loss_M, nll_M;  ///< fp32
};
/// Losses of rows of logits ([M, stride], the first V count); where `with_gradient`, the logits become the
/// derivative of the loss by them. Labels below 0 count nothing.
RowLosses cross_entropy(const at::Tensor& logits_MV, const at::Tensor& bias_V, const at::Tensor& labels_M,
                        const CrossEntropyOptions& options, bool with_gradient);

void adamw_update(const AdamWTensors& tensors, const std::vector<UpdateSpan>& spans, const AdamWScalars& scalars);
double gradient_square_sum(const at::Tensor& gradients, const std::vector<UpdateSpan>& spans);

}  // namespace cuda
}  // namespace txtsum::ops
