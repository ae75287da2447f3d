#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::io {

/// One file of a zip archive that lies in it as it is.
struct ZipEntry {
  std::string name;
  size_t begin = 0, end = 0;  ///< Its bytes, counted from the archive's start.
  uint32_t crc32 = 0;
};

/// The files of the zip archive `bytes` (PKWARE's APPNOTE, with the zip64 records), by its central directory. `path` is
/// for messages. Throws DataError: no archive, torn, an entry that is compressed, encrypted or out of bounds.
std::vector<ZipEntry> read_zip_directory(const std::string& path, std::string_view bytes);

/// The checksum that zip archives use.
uint32_t crc32_of(std::string_view bytes);

}  // namespace txtsum::io
