#include "txtsum/core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "txtsum/core/error.h"

namespace txtsum::core {
namespace {

[[noreturn]] void throw_errno(const std::string& path, const std::string& action) {
  const int code = errno;
  throw DataError(path + ": cannot " + action + ": " + std::strerror(code));
}

/// Closes a descriptor on scope exit.
struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

void write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_errno(path, "write");
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

std::string read_file(const std::string& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw_errno(path, "open");
  std::string text;
  struct stat info {};
  if (::fstat(file.fd, &info) == 0 && S_ISREG(info.st_mode)) text.reserve(static_cast<size_t>(info.st_size));
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(file.fd, buffer, sizeof buffer);
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_errno(path, "read");
    }
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
}

void sync_path(const std::string& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw_errno(path, "open");
  // A folder on some network mounts cannot be synced; the files in it were.
  if (::fsync(file.fd) != 0 && errno != EINVAL && errno != ENOTSUP) throw_errno(path, "sync");
}

void write_file(const std::string& path, std::string_view bytes) {
  const std::filesystem::path target(path);
  if (target.has_parent_path()) {
    std::error_code error;
    std::filesystem::create_directories(target.parent_path(), error);
    if (error) throw DataError(target.parent_path().string() + ": cannot create folder: " + error.message());
  }
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  {
    Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (file.fd < 0) throw_errno(temporary, "create");
    try {
      write_all(file.fd, bytes, path);
      if (::fsync(file.fd) != 0 && errno != EINVAL) throw_errno(path, "sync");
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    errno = code;
    throw_errno(path, "rename into place");
  }
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw_errno(path, "open");
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) throw_errno(path, "stat");
  if (!S_ISREG(info.st_mode)) throw DataError(path + ": not a regular file");
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) throw_errno(path, "map");
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

}  // namespace txtsum::core
