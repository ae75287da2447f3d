#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "txtsum/io/tensor_file.h"

namespace txtsum::io {

/// An element type of the safetensors format.
struct Dtype {
  std::string_view name;
  int64_t bits;
  int rank;                                   ///< Place in the format's own list: the writer puts higher ranks first.
  std::optional<at::ScalarType> scalar_type;  ///< Unset: listed in headers, but not read.
};

/// The type that a header calls `name`, or nullptr.
const Dtype* find_dtype(std::string_view name);

/// The type in which `scalar_type` is stored, or nullptr.
const Dtype* find_dtype(at::ScalarType scalar_type);

/// Throws DataError unless all bytes of `entry`, a tensor of type BOOL in the file whose bytes are `file`, are 0 or 1.
void require_booleans(const std::string& path, std::string_view file, const TensorEntry& entry);

}  // namespace txtsum::io
