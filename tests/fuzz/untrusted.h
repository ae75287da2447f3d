#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "txtsum/core/error.h"

// What the programs of this folder share: each hands bytes to a parser that must accept them or refuse them in the
// program's own words. Anything else that is thrown ends the process, as a crash does.

/// The entry that libFuzzer and replay.cpp call.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace txtsum::tests {

/// A file that is written anew for each input, in memory where the machine has such a file system. Its folder goes when
/// the process ends.
class InputFile {
 public:
  explicit InputFile(const std::string& name) {
    const bool in_memory = std::filesystem::is_directory("/dev/shm");
    std::string pattern = (in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/fuzz-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/" + name;
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) die("cannot make " + path_);
  }
  ~InputFile() {
    ::close(fd_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& folder() const { return folder_; }
  const std::string& path() const { return path_; }
  void write(std::string_view bytes) const {
    const bool written =
        ::ftruncate(fd_, 0) == 0 && ::pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
    if (!written) die("cannot write " + path_);
  }

  [[noreturn]] static void die(const std::string& reason) {
    std::fprintf(stderr, "%s\n", reason.c_str());
    std::abort();
  }

 private:
  std::string folder_, path_;
  int fd_ = -1;
};

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// How often a parser accepted what it was given.
inline int accepted = 0;

/// Calls `parse`, which may succeed or throw DataError or UserError that names `path`. Returns whether it succeeded.
template <typename Parse>
bool accepts(const std::string& path, const Parse& parse) {
  const auto require_path = [&](const std::string& message) {
    if (message.find(path) == std::string::npos) InputFile::die("an error that names no file: " + message);
    return false;
  };
  try {
    parse();
    ++accepted;
    return true;
  } catch (const core::DataError& error) {
    return require_path(error.what());
  } catch (const core::UserError& error) {
    return require_path(error.what());
  }
}

}  // namespace txtsum::tests
