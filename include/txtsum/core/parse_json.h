#pragma once

#include <string>
#include <string_view>

#include "txtsum/core/json.h"

namespace txtsum::core {

/// Parses `text`, which comes from the file `path`, as Json or as nlohmann::json. Throws DataError with path, byte and
/// reason: no JSON, a number beyond a double's range, or nested deeper than 500 levels, which would exhaust the stack
/// of whoever copies or prints the value.
template <typename AnyJson = Json>
AnyJson parse_json(std::string_view text, const std::string& path);

/// nlohmann's words for what is wrong, without its name of the error and the place, and without what was read where
/// that is long.
std::string json_reason(std::string_view what);

}  // namespace txtsum::core
