#pragma once

#include "txtsum/ops/global_tokens.h"

// Attention of long documents (Beltagy et al. 2020): a token sees its neighbours and a few global tokens. N: tokens of
// all sequences, G: global ones; D = H heads.

namespace txtsum::ops {

/// Whether the current GPU has a fused kernel for it: in bf16 and fp16, from Ampere on.
bool band_attention_is_fused(at::ScalarType dtype);

struct BandOptions {
  int64_t heads = 1;
  int64_t window = 0;  ///< Neighbours that a token sees on each side.
  double scale = 1.0;  ///< Factor on the products of queries and keys.
};

/// Softmax attention of each token over those at most `window` away in its sequence and the sequence's global tokens,
/// each counted once. qkv: [N, 3 D]. `seen` ([G, D], may be undefined) takes the place of the global tokens' own rows
/// (global_attention.h). Returns [N, D]. Memory grows with N * (window + global tokens of a sequence). Where it is
/// fused, the band is FlashAttention-2's, the global tokens outside it are merged in by log-sum-exp, and the host is
/// not asked; elsewhere it goes in pieces of plain products.
at::Tensor band_attention(const at::Tensor& qkv_NE, const at::Tensor& seen_GD, const RaggedTokens& tokens,
                          const GlobalTokens& globals, const BandOptions& options);

}  // namespace txtsum::ops
