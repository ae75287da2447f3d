#pragma once

#include <string>

#include "update_step.h"

namespace txtsum::train {

/// What the parameters of a block have in common: `model.decoder.layers.3`.
std::string block_name(const model::ArenaLayout& layout, int64_t block);

/// Runs a batch forward once more, without gradients, and names the first block whose result is not finite; empty where
/// every one is. For messages: it waits for each block.
std::string first_bad_block(const UpdateParts& parts, const GlobalBatch& batch, int64_t update);

}  // namespace txtsum::train
