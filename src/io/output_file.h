#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "txtsum/io/publish_mode.h"

namespace txtsum::io {

/// A file that is written from front to back and gets its name by `publish`. Unpublished, it removes what it wrote.
class OutputFile {
 public:
  /// Creates the file (kInPlace) or a temporary neighbour of it (kRename). Throws DataError.
  OutputFile(std::string path, PublishMode mode);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Throws DataError with the system's reason (disk full, ...).
  void write(std::string_view bytes);
  /// Syncs and closes the file, and renames it into place where the mode says so. Throws DataError.
  void publish();

 private:
  [[noreturn]] void fail(const std::string& action) const;

  std::string path_;
  std::string written_path_;
  int fd_ = -1;
  bool published_ = false;
};

}  // namespace txtsum::io
