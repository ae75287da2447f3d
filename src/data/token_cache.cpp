#include "txtsum/data/token_cache.h"

#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::data {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "cache files are little-endian");

constexpr char kMagic[8] = {'t', 'x', 't', 's', 'u', 'm', 'T', 'C'};
constexpr uint64_t kVersion = 1;

/// First bytes of a cache file; the arrays follow in the order of TokenTable, ids last, so that all are aligned.
struct Header {
  char magic[8];
  uint64_t version;
  char key[32];
  char checksum[32];
  int64_t examples;
  int64_t ids;
  int64_t rows_read;
  int64_t empty_source;
  int64_t empty_target;
};
static_assert(sizeof(Header) == 120);

template <typename T>
void write_array(std::ofstream& out, std::span<const T> values) {
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

/// Cuts the next `count` values off the front of `bytes`.
template <typename T>
std::span<const T> take_array(std::string_view& bytes, int64_t count) {
  const std::span<const T> values(reinterpret_cast<const T*>(bytes.data()), static_cast<size_t>(count));
  bytes.remove_prefix(values.size_bytes());
  return values;
}

/// Bytes of the arrays, or nothing when the counts cannot be true for a file of `limit` bytes.
std::optional<uint64_t> payload_bytes(const Header& header, uint64_t limit) {
  const auto examples = static_cast<uint64_t>(header.examples);
  const auto ids = static_cast<uint64_t>(header.ids);
  if (examples > limit || ids > limit) return std::nullopt;
  return (examples * 6 + 1) * 8 + ids * 4;
}

std::string temporary_name(const std::string& path) {
  static std::atomic<int> count{0};
  return path + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(count++);
}

[[noreturn]] void fail_to_write(const std::string& path, const std::string& temporary) {
  const std::string reason = std::strerror(errno);
  std::error_code ignored;
  fs::remove(temporary, ignored);
  throw core::DataError(path + ": cannot write the token cache: " + reason +
                        "; set data.cache to a folder that can be written, or to \"\" for none");
}

Header make_header(const std::string& key, const TokenTable& table) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  std::memcpy(header.key, key.data(), sizeof header.key);
  header.examples = table.size();
  header.ids = static_cast<int64_t>(table.ids.size());
  header.rows_read = table.counts.read;
  header.empty_source = table.counts.empty_source;
  header.empty_target = table.counts.empty_target;
  return header;
}

/// Checksum of the header, itself left out, and of the arrays.
std::string checksum_of(Header header, std::string_view payload) {
  std::memset(header.checksum, 0, sizeof header.checksum);
  return core::content_hash(std::string(reinterpret_cast<const char*>(&header), sizeof header) +
                            core::content_hash(payload));
}

/// Why the file is not a table of `key`; empty when it is.
std::string defect_of(const core::MappedFile& file, const std::string& key) {
  Header header;
  if (file.size() < sizeof header) return "cut short";
  std::memcpy(&header, file.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return "not a token cache";
  if (header.version != kVersion) return "of another version";
  if (std::string_view(header.key, sizeof header.key) != key) return "made for another key";
  const std::string_view payload = file.text().substr(sizeof header);
  if (payload_bytes(header, file.size()) != payload.size()) return "of the wrong size";
  if (std::string_view(header.checksum, sizeof header.checksum) != checksum_of(header, payload)) return "corrupt";
  return "";
}

TokenTable view(const std::shared_ptr<const core::MappedFile>& file) {
  Header header;
  std::memcpy(&header, file->data(), sizeof header);
  std::string_view rest = file->text().substr(sizeof header);
  TokenTable table;
  table.owner = file;
  table.counts = {header.rows_read, header.empty_source, header.empty_target};
  table.offsets = take_array<int64_t>(rest, 2 * header.examples + 1);
  table.rows = take_array<int64_t>(rest, header.examples);
  table.hashes = take_array<uint64_t>(rest, header.examples);
  table.full_lengths = take_array<int64_t>(rest, 2 * header.examples);
  table.ids = take_array<int32_t>(rest, header.ids);
  return table;
}

}  // namespace

std::string token_cache_path(const std::string& folder, const std::string& key) {
  return folder + "/" + key + ".tokens";
}

std::optional<TokenTable> open_token_cache(const std::string& folder, const std::string& key) {
  const std::string path = token_cache_path(folder, key);
  if (!fs::exists(path)) return std::nullopt;
  const auto file = std::make_shared<const core::MappedFile>(path);
  const std::string defect = defect_of(*file, key);
  if (defect.empty()) return view(file);
  core::log_warning(path + ": the cached tokens are " + defect + "; they are made again");
  return std::nullopt;
}

TokenTable write_token_cache(const std::string& folder, const std::string& key, const TokenTable& table) {
  TXTSUM_CHECK(key.size() == 32, "key ", key);
  const std::string path = token_cache_path(folder, key);
  const std::string temporary = temporary_name(path);
  std::error_code error;
  fs::create_directories(folder, error);  // where it fails, opening fails and says why
  Header header = make_header(key, table);
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    if (!out) fail_to_write(path, temporary);
    write_array(out, std::span<const Header>(&header, 1));
    write_array(out, table.offsets);
    write_array(out, table.rows);
    write_array(out, table.hashes);
    write_array(out, table.full_lengths);
    write_array(out, table.ids);
    if (!out.flush()) fail_to_write(path, temporary);
    const std::string hash = checksum_of(header, core::MappedFile(temporary).text().substr(sizeof header));
    std::memcpy(header.checksum, hash.data(), sizeof header.checksum);
    out.seekp(0);
    write_array(out, std::span<const Header>(&header, 1));
    if (!out.flush()) fail_to_write(path, temporary);
  }
  core::sync_path(temporary);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) fail_to_write(path, temporary);
  return view(std::make_shared<const core::MappedFile>(path));
}

TokenTable open_or_build_token_cache(const std::string& folder, const std::string& key,
                                     const std::function<TokenTable()>& build, bool& was_cached) {
  was_cached = false;
  if (folder.empty()) return build();
  if (std::optional<TokenTable> cached = open_token_cache(folder, key)) {
    was_cached = true;
    return *cached;
  }
  return write_token_cache(folder, key, build());
}

}  // namespace txtsum::data
