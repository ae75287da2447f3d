#pragma once

#include <string>
#include <vector>

#include "config/field_list.h"
#include "config/settings.h"

namespace txtsum::config {

/// What to say about a setting whose key is no field: our spelling of a transformers name, a suggestion, or that it is
/// a section. Empty where nothing is wrong (a section without keys).
std::string explain_unknown_key(const Setting& setting, const std::vector<ListedField>& fields);

}  // namespace txtsum::config
