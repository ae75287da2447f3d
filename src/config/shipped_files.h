#pragma once

#include <string_view>
#include <vector>

namespace txtsum::config {

/// A YAML file of configs/ as it was when the program was configured.
struct ShippedFile {
  std::string_view path;  ///< Relative to configs/.
  std::string_view text;
};

/// Defined by the source that CMake writes.
const std::vector<ShippedFile>& shipped_files();

}  // namespace txtsum::config
