#pragma once

#include "txtsum/ops/global_tokens.h"
#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

/// The projections of global tokens: weights [D, D] and [2 D, D] (keys, then values), biases [D] and [2 D] or none.
struct GlobalProjections {
  ParamRef q_weight, q_bias, kv_weight, kv_bias;
};

/// Softmax attention of each global token over all of its sequence: [G, D]. x: [N, D]; heads of width K = D / heads.
///
/// With at most K global tokens in the batch, keys and values are not made: q (W x) = (q W) x, and a sum of values is
/// the projection of a sum of rows, which takes 2 N D G `heads` products instead of 2 N D D and no memory of [N, 2 D].
/// A bias of the keys adds the same to all scores of a query and so has no gradient. With more, keys and values are
/// made and a fused kernel attends.
at::Tensor global_attention(const at::Tensor& x_ND, const RaggedTokens& tokens, const GlobalTokens& globals,
                            const GlobalProjections& projections, int64_t heads, double scale);

}  // namespace txtsum::ops
