#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "txtsum/ops/varlen_attention.h"

namespace txtsum::ops::cuda {

/// Where the sequences lie.
struct AttentionShape {
  at::Tensor q_offsets_B1, k_offsets_B1;  ///< int32
  int64_t longest_q = 0, longest_k = 0;
};

/// What the forward pass leaves for the backward one.
struct AttentionResult {
  at::Tensor out_MD;
  at::Tensor log_sum;
  at::Tensor random_state, random_offset;
};

struct AttentionGradients {
  at::Tensor q_MD, k_ND, v_ND;
};

/// FlashAttention-2 on packed tokens for bf16 and fp16, the memory-efficient kernel for fp32, both ATen's. q: [M, D];
/// k, v: [N, D] views whose last dimension is contiguous.
AttentionResult attention(const at::Tensor& q_MD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                          const AttentionShape& shape, const AttentionOptions& options);

AttentionGradients attention_backward(const at::Tensor& d_out_MD, const at::Tensor& q_MD, const at::Tensor& k_ND,
                                      const at::Tensor& v_ND, const AttentionResult& saved, const AttentionShape& shape,
                                      const AttentionOptions& options);

}  // namespace txtsum::ops::cuda
