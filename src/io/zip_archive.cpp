#include "zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "txtsum/core/error.h"

namespace txtsum::io {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50, kLocalSignature = 0x04034b50;
constexpr size_t kEndBytes = 22, kLocator64Bytes = 20, kEnd64Bytes = 56, kCentralBytes = 46, kLocalBytes = 30;
constexpr size_t kLongestComment = 65535;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // "see the zip64 record"
constexpr uint16_t kExtra64 = 1, kStored = 0, kEncrypted = 1;

/// Reads little-endian numbers, checked against the archive's end.
class Reader {
 public:
  Reader(const std::string& path, std::string_view bytes) : path_(path), bytes_(bytes) {}

  [[noreturn]] void fail(size_t at, const std::string& what) const {
    throw core::DataError(path_ + ": byte " + std::to_string(at) + ": " + what);
  }

  template <typename Number>
  Number number(size_t at) const {
    if (at > bytes_.size() || bytes_.size() - at < sizeof(Number)) fail(at, "the archive ends within a record");
    Number value;
    std::memcpy(&value, bytes_.data() + at, sizeof(Number));
    return value;
  }

  std::string_view text(size_t at, size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) fail(at, "the archive ends within a name");
    return bytes_.substr(at, size);
  }

  void expect(size_t at, uint32_t signature, const char* what) const {
    if (number<uint32_t>(at) != signature) fail(at, std::string("wanted ") + what);
  }

  size_t size() const { return bytes_.size(); }

 private:
  const std::string& path_;
  std::string_view bytes_;
};

/// Where the central directory is.
struct Directory {
  uint64_t entries = 0, begin = 0;
};

size_t find_end_record(const Reader& in) {
  if (in.size() >= kEndBytes) {
    const size_t last = in.size() - kEndBytes, first = last - std::min(last, kLongestComment);
    for (size_t at = last + 1; at-- > first;) {
      if (in.number<uint32_t>(at) == kEndSignature && at + kEndBytes + in.number<uint16_t>(at + 20) == in.size()) {
        return at;
      }
    }
  }
  in.fail(in.size(), "the archive has no directory at its end: the file is torn");
}

Directory find_directory(const Reader& in) {
  const size_t end = find_end_record(in);
  Directory directory{in.number<uint16_t>(end + 10), in.number<uint32_t>(end + 16)};
  if (end < kLocator64Bytes || in.number<uint32_t>(end - kLocator64Bytes) != kLocator64Signature) return directory;
  const auto record = in.number<uint64_t>(end - kLocator64Bytes + 8);
  if (record > in.size() || in.size() - record < kEnd64Bytes) in.fail(end, "the zip64 record lies outside the file");
  in.expect(record, kEnd64Signature, "the zip64 record");
  return {in.number<uint64_t>(record + 32), in.number<uint64_t>(record + 48)};
}

/// Sizes and offset of an entry; those that do not fit are in its zip64 field.
struct Extent {
  uint64_t compressed = 0, size = 0, header = 0;
};

Extent extent_of(const Reader& in, size_t at, size_t extra, size_t extra_end) {
  Extent extent{in.number<uint32_t>(at + 20), in.number<uint32_t>(at + 24), in.number<uint32_t>(at + 42)};
  for (size_t field = extra; field + 4 <= extra_end;) {
    const auto id = in.number<uint16_t>(field), bytes = in.number<uint16_t>(field + 2);
    size_t next = field + 4;
    if (id == kExtra64) {
      for (uint64_t* value : {&extent.size, &extent.compressed, &extent.header}) {
        if (*value != kIn64) continue;
        if (next + 8 > field + 4 + bytes) in.fail(field, "the zip64 field is too short");
        *value = in.number<uint64_t>(next);
        next += 8;
      }
    }
    field += 4 + bytes;
  }
  return extent;
}

}  // namespace

std::vector<ZipEntry> read_zip_directory(const std::string& path, std::string_view bytes) {
  const Reader in(path, bytes);
  const Directory directory = find_directory(in);
  std::vector<ZipEntry> entries;
  size_t at = directory.begin;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    in.expect(at, kCentralSignature, "an entry of the archive's directory");
    const size_t name_bytes = in.number<uint16_t>(at + 28), extra_bytes = in.number<uint16_t>(at + 30),
                 comment_bytes = in.number<uint16_t>(at + 32);
    const size_t extra = at + kCentralBytes + name_bytes;
    ZipEntry entry;
    entry.name = in.text(at + kCentralBytes, name_bytes);
    entry.crc32 = in.number<uint32_t>(at + 16);
    if (in.number<uint16_t>(at + 8) & kEncrypted) in.fail(at, entry.name + " is encrypted");
    if (in.number<uint16_t>(at + 10) != kStored)
      in.fail(at, entry.name + " is compressed, which torch.save never does");
    const Extent extent = extent_of(in, at, extra, extra + extra_bytes);
    if (extent.compressed != extent.size) in.fail(at, entry.name + " has two sizes");
    if (extent.header > in.size()) in.fail(at, entry.name + " lies outside the file");
    in.expect(extent.header, kLocalSignature, "the header of an entry");
    entry.begin =
        extent.header + kLocalBytes + in.number<uint16_t>(extent.header + 26) + in.number<uint16_t>(extent.header + 28);
    if (entry.begin > in.size() || in.size() - entry.begin < extent.size)
      in.fail(at, entry.name + " ends behind the file");
    entry.end = entry.begin + extent.size;
    entries.push_back(std::move(entry));
    at = extra + extra_bytes + comment_bytes;
  }
  return entries;
}

uint32_t crc32_of(std::string_view bytes) {
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace txtsum::io
