#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "txtsum/ops/block_plan.h"

// Self-attention of ragged sequences by tiles of 64 tokens on a GPU, in one kernel of our own: over all of a sequence,
// causal, or over the tiles that a plan lists; with or without a bias by distance. N: tokens of all sequences; H heads
// of width K; D = H * K; W = 2 * range + 1. No autograd: an operation's node calls both directions.

namespace txtsum::ops {

inline constexpr int64_t kTileTokens = 64;

/// Whether the current GPU runs it: compute capability 8.0 or more, bf16 or fp16, heads of 64 or 128.
bool tile_attention_serves(at::ScalarType dtype, int64_t head_width);

struct TileAttentionOptions {
  int64_t heads = 1;
  double scale = 1.0;     ///< Factor on the products of queries and keys; the bias is added behind it.
  bool causal = false;    ///< A query sees its own position and those before it; not with a plan.
  at::Tensor offsets_B1;  ///< int32, on the GPU: sequence b is rows offsets[b] to offsets[b + 1]; all rows are covered.
  int64_t longest = 0;    ///< At least the tokens of the longest sequence.
  const BlockPlan* plan = nullptr;  ///< On the GPU, with blocks of 64 tokens; null: every tile.
  /// fp32 [H, W], added to the products: column (key position - query position, limited to -range ... range) + range.
  /// Undefined: none.
  at::Tensor bias_HW;
};

struct TileAttentionResult {
  at::Tensor out_ND;
  at::Tensor log_sum_HN;  ///< fp32: log2 of the sum of the exponentials of a row.
};

struct TileAttentionGradients {
  at::Tensor d_qkv_NE;   ///< [N, 3 D]
  at::Tensor d_bias_HW;  ///< fp32; undefined without a bias.
};

/// qkv: [N, 3 D], contiguous. The host is never asked, nothing is allocated by numbers that the host does not know.
TileAttentionResult tile_attention(const at::Tensor& qkv_NE, const TileAttentionOptions& options);

/// Sums are made in a fixed order. d_out: [N, D], contiguous.
TileAttentionGradients tile_attention_backward(const at::Tensor& d_out_ND, const at::Tensor& qkv_NE,
                                               const TileAttentionResult& saved, const TileAttentionOptions& options);

}  // namespace txtsum::ops
