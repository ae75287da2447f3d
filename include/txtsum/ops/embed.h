#pragma once

#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"
#include "txtsum/ops/ragged.h"
#include "txtsum/ops/residual_dropout_norm.h"

namespace txtsum::ops {

/// How ids and positions become rows.
struct EmbedOptions {
  double scale = 1.0;     ///< Factor on a token's row.
  int64_t offset = 0;     ///< Row of the position table that position 0 has.
  int64_t still_id = -1;  ///< A token whose row gets no gradient from here (PyTorch's padding_idx); -1: none.
};

/// The tables, [V, D] and [P, D]; `positions` may be none.
struct EmbedRefs {
  ParamRef table, positions;
};

/// Token embedding times `scale` plus position embedding, table[id] * scale + positions[position + offset], then
/// LayerNorm where `norm` has a scale (its bias must be none), then dropout: [N, D]. On a GPU one pass. Ids and
/// positions must be in range (callers check their input against V and P).
at::Tensor embed(const RaggedTokens& tokens, const EmbedRefs& refs, const EmbedOptions& options,
                 const NormRefs& norm = {}, const DropoutKey& key = {});

}  // namespace txtsum::ops
