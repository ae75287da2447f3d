#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace txtsum::core {

/// Reads a whole file. Throws DataError with path and the system's reason.
std::string read_file(const std::string& path);

/// Writes `bytes` to a temporary neighbour, syncs it, and renames it over `path`, so that a reader sees the old or the
/// new content and never a part. Creates missing parent folders. Throws DataError.
void write_file(const std::string& path, std::string_view bytes);

/// Flushes a file or folder to the disk. Throws DataError.
void sync_path(const std::string& path);

/// A read-only memory map of one file; unmapped on destruction. Movable, not copyable.
class MappedFile {
 public:
  /// Throws DataError when the file is missing or cannot be mapped. An empty file maps to an empty view.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  MappedFile(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// XXH3 128-bit hash of `bytes` as 32 hexadecimal digits: the checksum of checkpoints and the key of caches.
std::string content_hash(std::string_view bytes);

}  // namespace txtsum::core
