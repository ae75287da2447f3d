#pragma once

#include "txtsum/ops/parameter.h"
#include "txtsum/ops/ragged.h"

namespace txtsum::ops {

/// Token embedding times `scale` plus learned position embedding: table[id] * scale + positions[position + offset], [N,
/// D]. table: [V, D]; positions: [P, D]. Ids and positions must be in range (callers check their input against V and
/// P).
at::Tensor embed(const RaggedTokens& tokens, const ParamRef& table_VD, const ParamRef& positions_PD, double scale,
                 int64_t offset);

}  // namespace txtsum::ops
