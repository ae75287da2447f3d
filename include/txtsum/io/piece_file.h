#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace txtsum::io {

/// A file of which each of several processes writes its own stretches, at their places.
class PieceFile {
 public:
  /// Makes the file, empty. Throws DataError.
  static PieceFile create(const std::string& path);
  /// Opens one that is there. Throws DataError.
  static PieceFile open(const std::string& path);
  ~PieceFile();
  PieceFile(PieceFile&& other) noexcept;
  PieceFile& operator=(PieceFile&&) = delete;

  /// Makes it `bytes` long, of zeros, and takes the room on the disk where the file system can: a full disk shows now.
  /// Throws DataError.
  void reserve(uint64_t bytes);
  /// Writes `bytes` from byte `at` on. Throws DataError with the system's reason (disk full, ...).
  void write(uint64_t at, std::string_view bytes);
  /// Writes a 1-D tensor in `type`. It may be on any device; what it needs of host memory for the way is small.
  void write(uint64_t at, const at::Tensor& values, at::ScalarType type);
  /// Syncs and closes it; without it the file is closed as it is. Throws DataError.
  void publish();

 private:
  PieceFile(std::string path, int flags);
  [[noreturn]] void fail(const std::string& action) const;

  std::string path_;
  int fd_ = -1;
};

}  // namespace txtsum::io
