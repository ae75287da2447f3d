#pragma once

#include <memory>

#include "txtsum/ops/block_plan.h"
#include "txtsum/ops/ragged.h"

// N: tokens of all sequences; D = H heads.

namespace txtsum::ops {

/// Softmax attention of each block of queries of a sequence over the blocks of keys that the plan lists for it, `scale`
/// on the products of queries and keys. A block that counts t times weighs t times in the softmax. qkv: [N, 3 D].
/// Returns [N, D]. Memory grows with N. In bf16 and fp16 on a GPU from Ampere on with blocks of 64 tokens it is one
/// kernel (tile_attention.h), which a graph can hold; elsewhere it goes sequence by sequence, block by block in plain
/// products, by the offsets that the host has.
at::Tensor block_sparse_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens,
                                  const std::shared_ptr<const BlockPlan>& plan, double scale);

/// Whether block_sparse_attention is one kernel on the current GPU.
bool block_sparse_attention_is_fused(at::ScalarType dtype, int64_t head_width, int64_t block);

}  // namespace txtsum::ops
