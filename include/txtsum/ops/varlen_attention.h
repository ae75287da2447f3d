#pragma once

#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/ragged.h"
#include "txtsum/ops/relative_bias.h"

// Shapes: N tokens of all key sequences, M tokens of all query sequences, D = H heads of width K.

namespace txtsum::ops {

struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;  ///< A query sees its own position and those before it (equal lengths).
  double scale = 1.0;   ///< Factor on the products of queries and keys.
  DropoutKey dropout;   ///< On the probabilities; examples_N and positions_N are the queries'. The channel is
                        ///< head * longest key sequence (rounded up to 8) + key position. In bf16 and fp16 on a GPU the
                        ///< library draws the mask instead, from the generator that seed_device_generator (device.h)
                        ///< puts in place: it repeats for the same batch alone.
  bool reference = false;  ///< The plain implementation, sequence by sequence, also where a GPU has a fused one.
  RelativeBias bias = {};  ///< Added to the scores, by distance; in self-attention.
};

/// Whether the current GPU has a fused kernel for attention in `dtype`, and so one that a graph can hold:
/// FlashAttention-2 for bf16 and fp16 from Ampere on, the memory-efficient one for fp32 without dropout of the
/// probabilities. Self-attention with a bias by distance, of heads of `biased_head_width` (0: there is none), is fused
/// where tile_attention_serves() and no probabilities are dropped. Elsewhere attention goes sequence by sequence, by
/// the offsets that the host has.
bool attention_is_fused(at::ScalarType dtype, bool drops_probabilities, int64_t biased_head_width = 0);

/// Where attention of recurring shapes without dropout takes kernels that are compiled at their first use (cuDNN's,
/// from Hopper on), begins with that in the background. Call once it is known that such batches will come.
void compile_attention_ahead(int64_t head_width, at::ScalarType dtype);

/// Softmax attention (Vaswani et al. 2017, eq. 1) within each sequence of a ragged batch. qkv: [N, 3 D], queries, keys,
/// values. Returns [N, D]. The gradient of a bias is summed over sequences and positions in a fixed order.
at::Tensor varlen_self_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens, const AttentionOptions& options);

/// The same with queries of one ragged batch and keys and values of another, sequence by sequence. q: [M, D]; kv: [N, 2
/// D]. Returns [M, D]. `causal` must be false, and there is no bias.
at::Tensor varlen_cross_attention(const at::Tensor& q_MD, const RaggedTokens& target, const at::Tensor& kv_NE,
                                  const RaggedTokens& source, const AttentionOptions& options);

}  // namespace txtsum::ops
