#pragma once

#include <string>

#include "config/settings.h"
#include "txtsum/config/field.h"

namespace txtsum::config {

/// Stores `value` in the field. Returns what is wrong with it, or an empty text; the field is then unchanged.
std::string parse_field(const Field& field, const Value& value);

}  // namespace txtsum::config
