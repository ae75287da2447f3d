#pragma once

#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "txtsum/io/safetensors.h"

// Where the bytes of tensors go, before any is written. A function of names, shapes and types alone, so that processes
// that write one file together agree on it without asking.

namespace txtsum::io {

/// transformers cuts larger weights into files of this size.
inline constexpr int64_t kMaxShardBytes = 5'000'000'000;

/// What a file says of a tensor.
struct TensorDeclaration {
  std::string name;
  std::vector<int64_t> shape;
  at::ScalarType type = at::kFloat;  ///< In the file.
  bool is_parameter = true;          ///< Else a buffer, which total_parameters of a sharded model leaves out.
};

/// A safetensors file that is to be written.
struct FileLayout {
  /// A tensor in it.
  struct Place {
    size_t tensor = 0;   ///< Number of its declaration.
    uint64_t begin = 0;  ///< Its first byte in the file.
  };
  std::string name;
  std::string header;         ///< What the file begins with; the 8 bytes of its length included.
  std::vector<Place> places;  ///< In the order of their bytes, without holes.
  uint64_t bytes = 0;         ///< Of the whole file.
};

/// The weight files of a model folder.
struct ModelLayout {
  std::vector<FileLayout> files;
  std::string index;  ///< Text of `model.safetensors.index.json`; empty where there is one file.
};

/// What transformers expects to find in a file of PyTorch weights.
inline SafetensorsMetadata pytorch_metadata() { return {{"format", "pt"}}; }

/// One file of all tensors, byte for byte as the `safetensors` package lays it out: larger elements first, then by
/// name; header padded to a multiple of 8 bytes. Throws DataError where a type cannot be stored.
FileLayout lay_out_file(std::string name, const std::vector<TensorDeclaration>& tensors,
                        const SafetensorsMetadata& metadata = pytorch_metadata());

/// Files of at most `max_shard_bytes` of data each, named as transformers names them: `model.safetensors`, or
/// `model-00001-of-0000N.safetensors` and an index. Shards are filled in the order given, by the rule of
/// huggingface_hub; a tensor over the limit gets a shard of its own. Throws DataError.
ModelLayout lay_out_model(const std::vector<TensorDeclaration>& tensors, int64_t max_shard_bytes);

/// Name of the index of several weight files.
inline constexpr const char* kWeightIndexFile = "model.safetensors.index.json";

}  // namespace txtsum::io
