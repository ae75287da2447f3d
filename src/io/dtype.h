#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string_view>

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

}  // namespace txtsum::io
