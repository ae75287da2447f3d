#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/io/safetensors.h"

namespace txtsum::io {

/// Content of a safetensors header.
struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  ///< In the order of their bytes; ranges count from the start of the file.
  SafetensorsMetadata metadata;
};

/// Parses and checks the whole of a safetensors file's header. `file` is the whole file and `path` its name for
/// messages. Throws DataError with path, byte offset, wanted and found.
SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view file);

}  // namespace txtsum::io
