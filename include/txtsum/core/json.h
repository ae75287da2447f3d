#pragma once

#include <nlohmann/json.hpp>

namespace txtsum::core {

/// JSON value that keeps the order in which keys were inserted: reports read as they were written.
using Json = nlohmann::ordered_json;

/// Serializes `value` with two spaces of indentation and a final newline. Invalid UTF-8 in strings becomes U+FFFD.
std::string to_pretty_text(const Json& value);

/// Serializes `value` on one line without a newline. Invalid UTF-8 in strings becomes U+FFFD.
std::string to_line(const Json& value);

/// Parses the file at `path`. Throws DataError with path, byte offset and reason.
Json read_json_file(const std::string& path);

}  // namespace txtsum::core
