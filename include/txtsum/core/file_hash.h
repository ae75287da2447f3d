#pragma once

#include <string>

namespace txtsum::core {

/// content_hash of a file's bytes, read in small pieces: a checkpoint's files are larger than what may lie in memory
/// beside a training. Throws DataError.
std::string file_hash(const std::string& path);

}  // namespace txtsum::core
