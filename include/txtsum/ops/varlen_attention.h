#pragma once

#include <vector>

#include "txtsum/ops/dropout_key.h"

// Shapes: N tokens of all key sequences, M tokens of all query sequences, D = H heads of width K.

namespace txtsum::ops {

struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;  ///< A query sees its own position and those before it (equal lengths).
  double scale = 1.0;   ///< Factor on the products of queries and keys.
  DropoutKey dropout;   ///< On the probabilities; examples_N and positions_N are the queries'. The channel is head *
                        ///< longest key sequence + key position.
};

/// Softmax attention (Vaswani et al. 2017, eq. 1) within each sequence of a ragged batch. qkv: [N, 3 D], queries, keys,
/// values; offsets: B + 1 row numbers. Returns [N, D].
at::Tensor varlen_self_attention(const at::Tensor& qkv_NE, const std::vector<int64_t>& offsets,
                                 const AttentionOptions& options);

/// The same with queries of one ragged batch and keys and values of another, sequence by sequence. q: [M, D]; kv: [N, 2
/// D]. Returns [M, D]. `causal` must be false.
at::Tensor varlen_cross_attention(const at::Tensor& q_MD, const std::vector<int64_t>& q_offsets,
                                  const at::Tensor& kv_NE, const std::vector<int64_t>& kv_offsets,
                                  const AttentionOptions& options);

}  // namespace txtsum::ops
