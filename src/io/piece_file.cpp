#include "txtsum/io/piece_file.h"

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "txtsum/core/error.h"

namespace txtsum::io {
namespace {

/// What is brought to the host, or changed in type, at once.
constexpr int64_t kElementsAtOnce = int64_t{1} << 22;

}  // namespace

PieceFile PieceFile::create(const std::string& path) { return {path, O_CREAT | O_TRUNC}; }

PieceFile PieceFile::open(const std::string& path) { return {path, 0}; }

// For writing alone: a network file system then sends the bytes that were written, not the pages around them, which
// others are writing.
PieceFile::PieceFile(std::string path, int flags)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666)) {
  if (fd_ < 0) fail((flags & O_CREAT) != 0 ? "create" : "open for writing");
}

PieceFile::~PieceFile() {
  if (fd_ >= 0) ::close(fd_);
}

PieceFile::PieceFile(PieceFile&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

void PieceFile::fail(const std::string& action) const {
  throw core::DataError(path_ + ": cannot " + action + ": " + std::strerror(errno));
}

void PieceFile::reserve(uint64_t bytes) {
  int result = 0;
  do {
    result = ::fallocate(fd_, 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) fail("make room");
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail("make room");
}

void PieceFile::write(uint64_t at, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write");
    bytes.remove_prefix(static_cast<size_t>(count));
    at += static_cast<uint64_t>(count);
  }
}

void PieceFile::write(uint64_t at, const at::Tensor& values, at::ScalarType type) {
  for (int64_t begin = 0; begin < values.numel(); begin += kElementsAtOnce) {
    const at::Tensor part = values.narrow(0, begin, std::min(kElementsAtOnce, values.numel() - begin));
    const at::Tensor ready = part.detach().to(at::kCPU, type).contiguous();
    write(at, {static_cast<const char*>(ready.const_data_ptr()), ready.nbytes()});
    at += ready.nbytes();
  }
}

void PieceFile::publish() {
  // Some network mounts cannot sync; what they can, they did at write.
  if (::fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP) fail("sync");
  // Network mounts send at close, and say there when that fails.
  if (::close(std::exchange(fd_, -1)) != 0) fail("close");
}

}  // namespace txtsum::io
