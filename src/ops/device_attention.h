#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "txtsum/ops/varlen_attention.h"

namespace txtsum::ops::cuda {

/// Queries, keys and values of one batch as rows, in whatever tensors they are packed: [M, D], [N, D] and [N, D], the
/// last dimension contiguous.
struct Packed {
  at::Tensor q_MD, k_ND, v_ND;
};

/// Where the sequences lie.
struct AttentionShape {
  at::Tensor q_offsets_B1, k_offsets_B1;  ///< int32
  int64_t longest_q = 0, longest_k = 0;
  bool recurs = false;  ///< RaggedTokens::recurs of both sides.
};

/// What the forward pass leaves for the backward one.
struct AttentionResult {
  at::Tensor out_MD;
  at::Tensor log_sum;
  at::Tensor random_state, random_offset;
  at::Tensor cudnn_indices;  ///< Defined where cuDNN's kernel ran.
};

/// Begins, in a thread of its own, to compile the kernels that cuDNN would compile at the first batch.
void compile_attention_ahead(int64_t head_width, at::ScalarType dtype);

/// Attention of packed tokens by a library's kernel. For bf16 and fp16 FlashAttention-2, or, from Hopper on and for
/// shapes that recur, cuDNN's; for fp32 the memory-efficient one. All but cuDNN's are ATen's.
AttentionResult attention(const Packed& in, const AttentionShape& shape, const AttentionOptions& options);

/// Writes the gradients of queries, keys and values into `d_in`.
void attention_backward(const at::Tensor& d_out_MD, const Packed& in, const Packed& d_in, const AttentionResult& saved,
                        const AttentionShape& shape, const AttentionOptions& options);

}  // namespace txtsum::ops::cuda
