#pragma once

#include <optional>
#include <string>
#include <vector>

#include "txtsum/model/arena.h"

namespace txtsum::model {

/// The layer that a parameter belongs to.
struct LayerPlace {
  std::string side;  ///< `encoder` or `decoder`.
  int64_t layer = 0;
};

/// From a Hugging Face name such as `model.encoder.layers.3.fc1.weight` or
/// `encoder.block.3.layer.0.SelfAttention.q.weight`; none for tables and for norms of whole stacks. A table of relative
/// positions is no layer's own.
std::optional<LayerPlace> layer_of(const std::string& name);

/// Marks in `specs` what `patterns` (config model.freeze) name. A pattern is one of
///   embeddings             tables of tokens and of positions, relative ones too; not an output table of its own
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
  std::vector<const ArenaEntry*> without_states = {};  ///< Entries of the layout that have neither.
};

/// One row a part, in the order of the layout.
std::vector<FreezeRow> freeze_table(const ArenaLayout& layout);

}  // namespace txtsum::model
