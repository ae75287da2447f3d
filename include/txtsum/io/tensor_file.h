#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::io {

/// One tensor as a file lists it.
struct TensorEntry {
  std::string name;
  std::string dtype;           ///< safetensors' word: `F32`, `BF16`, ...
  std::vector<int64_t> shape;  ///< Empty for a scalar.
  uint64_t begin = 0;          ///< First byte, counted from the start of the file.
  uint64_t end = 0;            ///< One past the last byte.
};

/// A file of named tensors.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual const std::string& path() const = 0;
  virtual const std::vector<TensorEntry>& entries() const = 0;
  /// The entry called `name`, or nullptr.
  virtual const TensorEntry* find(std::string_view name) const = 0;
  /// The tensor called `name` on the CPU, read only. Throws DataError when there is none or it cannot be read.
  virtual at::Tensor tensor(std::string_view name) const = 0;
};

/// Opens a file by its name: `.safetensors`, or else what torch.save writes.
std::unique_ptr<TensorFile> open_tensor_file(const std::string& path);

}  // namespace txtsum::io
