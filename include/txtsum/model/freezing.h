#pragma once

#include <string>
#include <vector>

#include "txtsum/model/arena.h"

namespace txtsum::model {

/// Marks in `specs` what `patterns` (config model.freeze) name. A pattern is one of
///   embeddings             token and position tables
///   encoder, decoder       every parameter of that side; `encoder` includes the token table, whose gradient would
///   otherwise
///                          need the whole encoder's graph (as transformers' former --freeze_encoder had it)
///   encoder.layers.0-5     those layers (or one: decoder.layers.3)
/// or a Hugging Face parameter name with the wildcards * and ?. Throws UserError naming a pattern that matches nothing,
/// or when everything would be frozen.
void freeze(std::vector<ParameterSpec>& specs, const std::vector<std::string>& patterns);

/// What freezing does to one part of the model.
struct FreezeRow {
  std::string part;  ///< For example `encoder.layers.0` or `embeddings`.
  int64_t parameters = 0;
  int64_t frozen = 0;
  int64_t masked = 0;  ///< Frozen, yet with gradient and state because a fused group is never split.
};

/// One row a part, in the order of the layout.
std::vector<FreezeRow> freeze_table(const ArenaLayout& layout);

}  // namespace txtsum::model
