#pragma once

#include "txtsum/ops/band_attention.h"

// Attention over a band on a GPU, in bf16 and fp16: FlashAttention-2 over the neighbours, and the global keys outside
// them merged into its result by the log of the sum of exponentials. Nothing is asked of the host.

namespace txtsum::ops::cuda {

struct BandResult {
  at::Tensor out_ND;
  at::Tensor log_sum_HN;
  at::Tensor random_state, random_offset;  ///< FlashAttention-2 wants them back though nothing is dropped.
};

BandResult band_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens, const GlobalTokens& globals,
                          const BandOptions& options);

/// The gradient of qkv. With the merged result and its log-sum in place of the band's own, FlashAttention-2's backward
/// pass gives the band's share; the far global keys add theirs.
at::Tensor band_attention_backward(const at::Tensor& d_out_ND, const at::Tensor& qkv_NE, const BandResult& saved,
                                   const RaggedTokens& tokens, const GlobalTokens& globals, const BandOptions& options);

}  // namespace txtsum::ops::cuda
