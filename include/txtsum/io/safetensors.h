#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "txtsum/core/file.h"
#include "txtsum/io/tensor_file.h"

namespace txtsum::io {

/// Free text of a safetensors header: the strings under `__metadata__`.
using SafetensorsMetadata = std::map<std::string, std::string>;

/// A safetensors file, read through a memory map: opening costs the header, a tensor costs nothing until it is used.
///
/// The header is checked whole before any tensor is handed out: its length, its JSON, duplicate names, types, sizes
/// that overflow, and that the byte ranges cover the data exactly, without holes or overlaps. Whatever is wrong is a
/// DataError with path, byte offset, what was wanted and what was found.
class SafetensorsFile final : public TensorFile {
 public:
  /// Maps the file at `path` and checks its header. Throws DataError.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const override { return map_->path(); }
  /// In the order of their bytes.
  const std::vector<TensorEntry>& entries() const override { return entries_; }
  /// The entry called `name`, or nullptr.
  const TensorEntry* find(std::string_view name) const override;
  const SafetensorsMetadata& metadata() const { return metadata_; }

  /// The tensor called `name` on the CPU, as a view of the map, which lives as long as the tensor does. Read only:
  /// writing into it ends the process. Data that is not aligned to its element is copied. Throws DataError when there
  /// is no such tensor, when its type is one that is listed but not read (F8_*, F6_*, F4, U16, U32, U64, C64), or when
  /// a BOOL byte is neither 0 nor 1.
  at::Tensor tensor(std::string_view name) const override;

 private:
  std::shared_ptr<const core::MappedFile> map_;
  std::vector<TensorEntry> entries_;
  std::unordered_map<std::string, size_t> numbers_;
  SafetensorsMetadata metadata_;
};

}  // namespace txtsum::io
