#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/io/publish_mode.h"
#include "txtsum/io/safetensors_layout.h"

namespace txtsum::io {

/// A tensor to be saved. It may live on any device and be a strided view; it is copied, one tensor at a time, when its
/// turn to be written comes.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
  std::optional<at::ScalarType> stored_as = std::nullopt;  ///< Type in the file; unset: the tensor's own.
  bool is_parameter = true;                                ///< See TensorDeclaration.
};

/// Writes `tensors` to the file at `path`, as lay_out_file says. kRename writes a temporary neighbour, syncs it and
/// renames it. Throws DataError when the file cannot be written, or a tensor's type cannot be stored.
void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const SafetensorsMetadata& metadata = pytorch_metadata(),
                      PublishMode mode = PublishMode::kRename);

/// Writes `tensors` into `folder`, as lay_out_model says. Weight files of an earlier save in the folder are removed.
/// Returns the names of the files written. Throws DataError.
std::vector<std::string> save_sharded(const std::string& folder, const std::vector<NamedTensor>& tensors,
                                      int64_t max_shard_bytes, PublishMode mode = PublishMode::kRename);

}  // namespace txtsum::io
