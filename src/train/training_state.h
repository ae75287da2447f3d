#pragma once

#include <string>

#include "txtsum/train/checkpoint.h"

namespace txtsum::train {

/// `state` as the text of training_state.json.
std::string to_text(const TrainingState& state);

}  // namespace txtsum::train
