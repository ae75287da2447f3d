#pragma once

#include "txtsum/ops/varlen_attention.h"

namespace txtsum::ops {

/// Whether self-attention with a bias by distance goes through tile_attention: on a GPU that has it, without dropout of
/// the probabilities.
bool goes_by_tiles(const at::Tensor& qkv_NE, const AttentionOptions& options);

/// varlen_self_attention with a bias, by tile_attention.
at::Tensor tiled_self_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens, const AttentionOptions& options);

}  // namespace txtsum::ops
