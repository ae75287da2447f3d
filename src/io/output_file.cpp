#include "output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::io {

OutputFile::OutputFile(std::string path, PublishMode mode) : path_(std::move(path)), written_path_(path_) {
  if (mode == PublishMode::kRename) written_path_ += ".tmp." + std::to_string(::getpid());
  fd_ = ::open(written_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("create");
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!published_) ::unlink(written_path_.c_str());
}

void OutputFile::fail(const std::string& action) const {
  throw core::DataError(written_path_ + ": cannot " + action + ": " + std::strerror(errno));
}

void OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void OutputFile::publish() {
  // Some network mounts cannot sync; what they can, they did at write.
  if (::fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP) fail("sync");
  // Blob mounts upload at close, and say there when that fails.
  if (::close(std::exchange(fd_, -1)) != 0) fail("close");
  if (written_path_ != path_) {
    if (::rename(written_path_.c_str(), path_.c_str()) != 0) fail("rename into place");
    const std::string parent = std::filesystem::path(path_).parent_path().string();
    core::sync_path(parent.empty() ? "." : parent);
  }
  published_ = true;
}

}  // namespace txtsum::io
