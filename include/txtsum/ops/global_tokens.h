#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "txtsum/ops/ragged.h"

namespace txtsum::ops {

/// The G global tokens of a ragged batch of N tokens: those that all tokens of their sequence see, and that see all.
struct GlobalTokens {
  int64_t count = 0;         ///< G
  RaggedTokens tokens;       ///< Offsets, offsets_B1 and longest alone: where those of each sequence lie among them.
  at::Tensor rows_G;         ///< int64: their rows, ascending; where the batch is, like what follows.
  at::Tensor sequence_of_G;  ///< int32: the sequence that each belongs to.
  at::Tensor sequence_of_N;  ///< int32: that of each token.

  bool empty() const { return count == 0; }
};

/// Finds where each sequence's global tokens lie. `rows` must be ascending.
GlobalTokens make_global_tokens(const std::vector<int64_t>& rows, const RaggedTokens& tokens);

/// The first token of each sequence. Where no sequence is empty, all tensors are made from `tokens.offsets_B1`, so that
/// a captured graph finds those of the batch that it runs on.
GlobalTokens first_tokens(const RaggedTokens& tokens);

}  // namespace txtsum::ops
