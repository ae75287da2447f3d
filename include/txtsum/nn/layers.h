#pragma once

#include "txtsum/ops/activation.h"
#include "txtsum/ops/band_attention.h"
#include "txtsum/ops/block_plan.h"
#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"
#include "txtsum/ops/ragged.h"
#include "txtsum/ops/relative_bias.h"
#include "txtsum/ops/residual_stream.h"

// The layers that the families share, as plain structs over the arena. N: tokens of a batch; D: model width.

namespace txtsum::nn {

/// A product with bias (index -1: none).
struct Linear {
  ops::ParamRef weight, bias;

  at::Tensor operator()(const at::Tensor& x_NI) const;
  /// Without the bias, which the operation that follows adds.
  at::Tensor product(const at::Tensor& x_NI) const;
};

/// LayerNorm's scale and shift; without a shift (index -1) the norm of ops::NormRefs that takes no mean off.
struct Norm {
  ops::ParamRef scale, shift;
  double epsilon = 1e-5;

  ops::NormRefs refs(const ops::ParamRef& bias_D = {}) const { return {scale, shift, bias_D, epsilon}; }

  /// LayerNorm(residual + dropout(x + bias)); `residual` may be undefined, `bias` may be none.
  at::Tensor operator()(const at::Tensor& x_ND, const ops::ParamRef& bias_D, const at::Tensor& residual_ND,
                        const ops::DropoutKey& dropout) const;

  /// In a pre-norm layer: adds x + bias to the stream, and norms the sum.
  ops::StreamResult add_to_stream(const at::Tensor& stream_ND, const at::Tensor& x_ND, const ops::ParamRef& bias_D,
                                  const ops::DropoutKey& dropout) const;
  /// LayerNorm of a stream.
  at::Tensor of_stream(const at::Tensor& stream_ND) const;
};

/// Multi-head attention of a sequence to itself, queries, keys and values in one product. The result lacks out.bias,
/// which the norm behind it adds.
struct SelfAttention {
  Linear qkv, out;
  int64_t heads = 1;
  double scale = 1.0;           ///< Factor on the products of queries and keys.
  ops::RelativeBias bias = {};  ///< Added to them, where there is one.

  at::Tensor operator()(const at::Tensor& x_ND, const ops::RaggedTokens& tokens, bool causal,
                        const ops::DropoutKey& dropout) const;
};

/// Multi-head attention over a band of neighbours and global tokens (Beltagy et al. 2020, as transformers' LED has it).
/// The global tokens' own results come from projections of their own, over the whole sequence. The result lacks
/// out.bias.
struct BandAttention {
  Linear qkv, q_global, kv_global, out;
  int64_t heads = 1, window = 0;

  at::Tensor operator()(const at::Tensor& x_ND, const ops::RaggedTokens& tokens,
                        const ops::GlobalTokens& globals) const;
};

/// Multi-head attention by blocks (Zaheer et al. 2020, as transformers' BigBird-Pegasus has it). The result lacks
/// out.bias.
struct BlockSparseAttention {
  Linear qkv, out;
  std::shared_ptr<const ops::BlockPlan> plan;

  at::Tensor operator()(const at::Tensor& x_ND, const ops::RaggedTokens& tokens) const;
};

/// Multi-head attention of target tokens to the encoder's result, keys and values in one product. The result
/// lacks out.bias.
struct CrossAttention {
  Linear q, kv, out;
  int64_t heads = 1;
  double scale = 1.0;  ///< Factor on the products of queries and keys.

  at::Tensor operator()(const at::Tensor& x_MD, const ops::RaggedTokens& target, const at::Tensor& encoded_ND,
                        const ops::RaggedTokens& source, const ops::DropoutKey& dropout) const;
};

/// Two products with an activation between, or with a gate: `in` makes both of its halves then, and has no bias. The
/// result lacks out.bias.
struct FeedForward {
  Linear in, out;
  ops::Activation activation = ops::Activation::kGelu;
  bool gated = false;

  at::Tensor operator()(const at::Tensor& x_ND, const ops::DropoutKey& dropout) const;
};

/// Factor on the products of queries and keys: 1 / sqrt(head width).
double attention_scale(int64_t width, int64_t heads);

}  // namespace txtsum::nn
