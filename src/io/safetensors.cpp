#include "txtsum/io/safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <bit>
#include <cstring>

#include "dtype.h"
#include "header_parser.h"
#include "txtsum/core/error.h"

namespace txtsum::io {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and is used as it lies");

SafetensorsFile::SafetensorsFile(const std::string& path) : map_(std::make_shared<core::MappedFile>(path)) {
  SafetensorsHeader header = parse_safetensors_header(path, map_->text());
  entries_ = std::move(header.entries);
  metadata_ = std::move(header.metadata);
  numbers_.reserve(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) numbers_.emplace(entries_[i].name, i);
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = numbers_.find(std::string(name));
  return found == numbers_.end() ? nullptr : &entries_[found->second];
}

at::Tensor SafetensorsFile::tensor(std::string_view name) const {
  const TensorEntry* entry = find(name);
  if (entry == nullptr) throw core::DataError(path() + ": no tensor '" + std::string(name) + "'");
  const Dtype& dtype = *find_dtype(entry->dtype);
  if (!dtype.scalar_type) {
    throw core::DataError(path() + ": tensor '" + entry->name + "' has type " + entry->dtype +
                          ", which is not read; wanted F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL");
  }
  const std::byte* data = map_->data() + entry->begin;
  const size_t bytes = entry->end - entry->begin;
  if (*dtype.scalar_type == at::kBool) require_booleans(path(), map_->text(), *entry);
  const at::TensorOptions options = at::TensorOptions().dtype(*dtype.scalar_type);
  const auto alignment = static_cast<size_t>(dtype.bits / 8);
  if (bytes == 0 || reinterpret_cast<uintptr_t>(data) % alignment != 0) {
    at::Tensor copy = at::empty(entry->shape, options);
    if (bytes > 0) std::memcpy(copy.data_ptr(), data, bytes);
    return copy;
  }
  // The deleter owns a share of the map; from_blob wants a pointer that is not const.
  return at::from_blob(
      const_cast<std::byte*>(data), entry->shape, [map = map_](void*) {}, options);
}

}  // namespace txtsum::io
