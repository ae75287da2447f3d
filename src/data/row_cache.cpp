#include "txtsum/data/row_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"

namespace txtsum::data {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "cache files are little-endian");

constexpr char kMagic[8] = {'t', 'x', 't', 's', 'u', 'm', 'R', 'C'};
constexpr uint64_t kVersion = 1;
/// Rows of a group, at most, but for an example that has more. Other groups give other last bits: a new kVersion.
constexpr int64_t kGroupRows = 4096;
constexpr int64_t kPage = 4096;
/// Pause between two looks at groups that others make.
constexpr std::chrono::milliseconds kPause(20);

/// First bytes of a file. The checksums of the examples follow, 0 where one is missing, and on the next page the rows.
struct Header {
  char magic[8];
  uint64_t version;
  char key[32];
  int64_t examples;
  int64_t rows;
  int64_t row_bytes;
  uint64_t complete;  ///< 1: all is there and was flushed to the disk, so that no power failure can have torn it.
};
static_assert(sizeof(Header) == 80);

int64_t checksum_place(int64_t example) { return static_cast<int64_t>(sizeof(Header)) + 8 * example; }

int64_t rows_place(int64_t examples) { return (checksum_place(examples) + kPage - 1) / kPage * kPage; }

/// Never 0, which means that there is none.
uint64_t checksum_of(std::string_view rows) { return std::max<uint64_t>(XXH3_64bits(rows.data(), rows.size()), 1); }

Header header_of(const RowCacheShape& shape) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  std::memcpy(header.key, shape.key.data(), sizeof header.key);
  header.examples = static_cast<int64_t>(shape.row_counts.size());
  header.rows = shape.rows();
  header.row_bytes = shape.row_bytes;
  return header;
}

std::string gib(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0));
  return text;
}

[[noreturn]] void fail(const std::string& path, const std::string& action, int code, const RowCacheShape& shape) {
  const std::string text = path + ": cannot " + action + ": " + std::strerror(code);
  if (code != ENOSPC && code != EDQUOT && code != EFBIG) {
    throw core::DataError(text + "; set " + shape.setting + " to a folder on a local disk that can be written");
  }
  std::error_code unknown;
  const fs::space_info space = fs::space(fs::path(path).parent_path(), unknown);
  throw core::EnvironmentError(text + "; it takes " + gib(shape.bytes()) + " and there are " +
                               (unknown ? "fewer" : gib(static_cast<int64_t>(space.available))) +
                               ": make room, or set " + shape.setting + " to a folder on another disk");
}

std::vector<int64_t> offsets_of(const std::vector<int64_t>& counts) {
  std::vector<int64_t> offsets{0};
  for (const int64_t count : counts) offsets.push_back(offsets.back() + count);
  return offsets;
}

std::vector<RowCache::Group> groups_of(const std::vector<int64_t>& offsets) {
  std::vector<RowCache::Group> groups;
  const int64_t examples = static_cast<int64_t>(offsets.size()) - 1;
  for (int64_t begin = 0; begin < examples;) {
    int64_t end = begin + 1;
    const int64_t limit = offsets[static_cast<size_t>(begin)] + kGroupRows;
    while (end < examples && offsets[static_cast<size_t>(end) + 1] <= limit) ++end;
    groups.push_back({begin, end});
    begin = end;
  }
  return groups;
}

}  // namespace

int64_t RowCacheShape::rows() const { return offsets_of(row_counts).back(); }

int64_t RowCacheShape::bytes() const {
  return rows_place(static_cast<int64_t>(row_counts.size())) + rows() * row_bytes;
}

/// The open file: written through its descriptor, so that a full disk is an error and not a signal; read through a map.
class RowCache::File {
 public:
  File(const std::string& path, const RowCacheShape& shape) : path_(path), shape_(shape) {
    for (int attempt = 0; !open_existing(); ++attempt) {
      TXTSUM_CHECK(attempt < 3, path_, " is replaced again and again");
      create();
    }
  }
  ~File() {
    if (map_ != nullptr) ::munmap(map_, static_cast<size_t>(shape_.bytes()));
    if (fd_ >= 0) ::close(fd_);
  }

  const std::byte* at(int64_t place) const { return static_cast<const std::byte*>(map_) + place; }
  uint64_t number_at(int64_t place) const {
    // Others write it meanwhile; it is aligned, and a word is written whole.
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(static_cast<std::byte*>(map_) + place))
        .load(std::memory_order_acquire);
  }

  void write(int64_t place, const void* bytes, size_t count) {
    const char* from = static_cast<const char*>(bytes);
    while (count > 0) {
      const ssize_t written = ::pwrite(fd_, from, count, place);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(path_, "write", errno, shape_);
      from += written;
      place += written;
      count -= static_cast<size_t>(written);
    }
  }

  /// Locks bytes for this open file alone; false where another has them.
  bool try_lock(int64_t place, int64_t count) {
    if (lock(F_WRLCK, place, count) == 0) return true;
    if (errno != EAGAIN && errno != EACCES) fail(path_, "lock", errno, shape_);
    return false;
  }
  void unlock(int64_t place, int64_t count) noexcept { lock(F_UNLCK, place, count); }

  bool complete() const { return number_at(offsetof(Header, complete)) == 1; }
  void set_complete() {
    if (complete()) return;
    // Some mounts cannot sync, and say so.
    if (::fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP) fail(path_, "sync", errno, shape_);
    const uint64_t one = 1;
    write(offsetof(Header, complete), &one, sizeof one);
  }

 private:
  int lock(int type, int64_t place, int64_t count) noexcept {
    struct flock range {};
    range.l_type = static_cast<short>(type);
    range.l_whence = SEEK_SET;
    range.l_start = place;
    range.l_len = count;
    return ::fcntl(fd_, F_OFD_SETLK, &range);
  }

  /// Whether there is a file of the wanted shape; one that is not goes away.
  bool open_existing() {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0) {
      if (errno != ENOENT) fail(path_, "open", errno, shape_);
      return false;
    }
    struct stat info {};
    Header found{};
    Header wanted = header_of(shape_);
    const bool read = ::fstat(fd_, &info) == 0 && ::pread(fd_, &found, sizeof found, 0) == sizeof found;
    wanted.complete = found.complete;
    if (!read || info.st_size != shape_.bytes() || std::memcmp(&found, &wanted, sizeof found) != 0) {
      core::log_warning(path_ + ": not a whole file of this version; it is made again");
      ::close(fd_);
      ::unlink(path_.c_str());
      return false;
    }
    map_ = ::mmap(nullptr, static_cast<size_t>(shape_.bytes()), PROT_READ, MAP_SHARED, fd_, 0);
    if (map_ == MAP_FAILED) {
      map_ = nullptr;
      fail(path_, "map", errno, shape_);
    }
    return true;
  }

  /// Makes the file under another name, and links it where nobody else was faster.
  void create() {
    static std::atomic<int> count{0};
    const std::string temporary = path_ + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(count++);
    std::error_code ignored;
    fs::create_directories(fs::path(path_).parent_path(), ignored);  // where it fails, opening fails and says why
    fd_ = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(path_, "make", errno, shape_);
    try {
      // A file system that cannot reserve room says so at a write.
      if (::fallocate(fd_, 0, 0, shape_.bytes()) != 0) {
        if (errno != EOPNOTSUPP && errno != ENOSYS) fail(path_, "make", errno, shape_);
        if (::ftruncate(fd_, shape_.bytes()) != 0) fail(path_, "make", errno, shape_);
      }
      const Header header = header_of(shape_);
      write(0, &header, sizeof header);
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
    ::close(std::exchange(fd_, -1));
    // Where there are no links, the name goes over what another may have made: each then fills a file of its own.
    if (::link(temporary.c_str(), path_.c_str()) != 0 && errno != EEXIST &&
        ::rename(temporary.c_str(), path_.c_str()) != 0) {
      fail(path_, "make", errno, shape_);
    }
    ::unlink(temporary.c_str());
  }

  std::string path_;
  const RowCacheShape& shape_;
  int fd_ = -1;
  void* map_ = nullptr;
};

RowCache::RowCache(const std::string& folder, RowCacheShape shape)
    : shape_(std::move(shape)),
      path_(row_cache_path(folder, shape_.key)),
      offsets_(offsets_of(shape_.row_counts)),
      groups_(groups_of(offsets_)) {
  TXTSUM_CHECK(shape_.key.size() == 32, "key ", shape_.key);
  file_ = std::make_unique<File>(path_, shape_);
}

RowCache::~RowCache() = default;

std::span<const std::byte> RowCache::bytes_of(int64_t example) const {
  const int64_t begin = offsets_[static_cast<size_t>(example)], end = offsets_[static_cast<size_t>(example) + 1];
  const int64_t first = rows_place(static_cast<int64_t>(shape_.row_counts.size()));
  return {file_->at(first + begin * shape_.row_bytes), static_cast<size_t>((end - begin) * shape_.row_bytes)};
}

bool RowCache::has_checksum(int64_t example) const {
  const uint64_t kept = file_->number_at(checksum_place(example));
  if (kept == 0) return false;
  const std::span<const std::byte> rows = bytes_of(example);
  return kept == checksum_of({reinterpret_cast<const char*>(rows.data()), rows.size()});
}

bool RowCache::is_whole(const Group& group) const {
  for (int64_t example = group.begin; example < group.end; ++example) {
    if (!has_checksum(example)) return false;
  }
  return true;
}

void RowCache::store(const Group& group, const std::string& rows) {
  const int64_t begin = offsets_[static_cast<size_t>(group.begin)], end = offsets_[static_cast<size_t>(group.end)];
  TXTSUM_CHECK(static_cast<int64_t>(rows.size()) == (end - begin) * shape_.row_bytes, rows.size());
  const int64_t first = rows_place(static_cast<int64_t>(shape_.row_counts.size()));
  file_->write(first + begin * shape_.row_bytes, rows.data(), rows.size());
  std::vector<uint64_t> checksums;
  for (int64_t example = group.begin; example < group.end; ++example) {
    const size_t at = static_cast<size_t>((offsets_[static_cast<size_t>(example)] - begin) * shape_.row_bytes);
    const size_t count = static_cast<size_t>(shape_.row_counts[static_cast<size_t>(example)] * shape_.row_bytes);
    checksums.push_back(checksum_of(std::string_view(rows).substr(at, count)));
  }
  file_->write(checksum_place(group.begin), checksums.data(), checksums.size() * sizeof(uint64_t));
}

bool RowCache::try_to_make(const Group& group, const Make& make, Filled& filled) {
  const int64_t place = checksum_place(group.begin), count = 8 * (group.end - group.begin);
  if (!file_->try_lock(place, count)) return false;
  struct Unlock {
    File& file;
    int64_t place, count;
    ~Unlock() { file.unlock(place, count); }
  } const unlock{*file_, place, count};
  if (is_whole(group)) return true;  // since it was looked at
  store(group, make(group));
  filled.made.push_back(group);
  return true;
}

RowCache::Filled RowCache::fill(const Make& make, double start, const std::function<bool()>& stop) {
  Filled filled;
  if (file_->complete()) {
    filled.complete = true;
    return filled;
  }
  std::vector<Group> missing = groups_;
  const auto first = static_cast<int64_t>(start * static_cast<double>(missing.size()));
  std::rotate(missing.begin(), missing.begin() + first, missing.end());
  while (!missing.empty()) {
    std::vector<Group> others;
    for (const Group& group : missing) {
      if (stop()) return filled;
      if (!is_whole(group) && !try_to_make(group, make, filled)) others.push_back(group);
    }
    if (others.size() == missing.size()) std::this_thread::sleep_for(kPause);
    missing = std::move(others);
  }
  file_->set_complete();
  filled.complete = true;
  return filled;
}

std::span<const std::byte> RowCache::rows(int64_t example) const {
  TXTSUM_CHECK(example >= 0 && example < static_cast<int64_t>(shape_.row_counts.size()), example);
  if (!has_checksum(example)) {
    throw core::DataError(path_ + ": the rows of example " + std::to_string(example) +
                          " are damaged; delete the file, and start again: it is made anew");
  }
  return bytes_of(example);
}

std::string row_cache_path(const std::string& folder, const std::string& key) { return folder + "/" + key + ".rows"; }

}  // namespace txtsum::data
