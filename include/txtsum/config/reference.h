#pragma once

#include <string>

namespace txtsum::config {

/// docs/config_reference.md: every key with type, default, range, unit and help.
std::string config_reference_markdown();

/// docs/from_transformers.md: names of transformers and DeepSpeed beside ours.
std::string from_transformers_markdown();

}  // namespace txtsum::config
