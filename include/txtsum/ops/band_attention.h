#pragma once

#include "txtsum/ops/ragged.h"

// Attention of long documents (Beltagy et al. 2020): a token sees its neighbours and a few global tokens. N: tokens of
// all sequences; D = H heads.

namespace txtsum::ops {

/// The global tokens of a ragged batch.
struct GlobalTokens {
  std::vector<int64_t> rows;  ///< Their rows, ascending.
  RaggedTokens tokens;        ///< Offsets, offsets_B1 and longest alone: where those of each sequence lie among `rows`.
  at::Tensor rows_G;          ///< `rows` as int64, where the batch is.

  bool empty() const { return rows.empty(); }
};

/// Finds where each sequence's global tokens lie. `rows` must be ascending.
GlobalTokens make_global_tokens(std::vector<int64_t> rows, const RaggedTokens& tokens);

struct BandOptions {
  int64_t heads = 1;
  int64_t window = 0;  ///< Neighbours that a token sees on each side.
  double scale = 1.0;  ///< Factor on the products of queries and keys.
};

/// Softmax attention of each token over those at most `window` away in its sequence and the sequence's global tokens,
/// each counted once. qkv: [N, 3 D]. Returns [N, D]. Memory grows with N * (window + global tokens of a sequence). In
/// bf16 and fp16 on a GPU from Ampere on the band is FlashAttention-2's, and the global tokens outside it are merged in
/// by log-sum-exp; elsewhere it goes in pieces of plain products.
at::Tensor band_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens, const GlobalTokens& globals,
                          const BandOptions& options);

}  // namespace txtsum::ops
