#pragma once

#include "txtsum/ops/parameter.h"
#include "txtsum/ops/ragged.h"

namespace txtsum::ops {

/// How ids and positions become rows.
struct EmbedOptions {
  double scale = 1.0;     ///< Factor on a token's row.
  int64_t offset = 0;     ///< Row of the position table that position 0 has.
  int64_t still_id = -1;  ///< A token whose row gets no gradient from here (PyTorch's padding_idx); -1: none.
};

/// Token embedding times `scale` plus position embedding: table[id] * scale + positions[position + offset], [N,
/// D]. table: [V, D]; positions: [P, D]. Ids and positions must be in range (callers check their input against V and
/// P). `positions` may be none (index -1).
at::Tensor embed(const RaggedTokens& tokens, const ParamRef& table_VD, const ParamRef& positions_PD,
                 const EmbedOptions& options);

}  // namespace txtsum::ops
