#include "txtsum/core/file_hash.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::core {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

std::string in_digits(const XXH128_hash_t& hash) {
  static const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const uint64_t half : {hash.high64, hash.low64}) {
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[(half >> shift) & 15];
  }
  return text;
}

[[noreturn]] void fail(const std::string& path, const char* action) {
  throw DataError(path + ": cannot " + action + ": " + std::strerror(errno));
}

}  // namespace

std::string content_hash(std::string_view bytes) { return in_digits(XXH3_128bits(bytes.data(), bytes.size())); }

std::string file_hash(const std::string& path) {
  struct Descriptor {
    int fd;
    ~Descriptor() {
      if (fd >= 0) ::close(fd);
    }
  } const file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail(path, "open");
  ::posix_fadvise(file.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  std::vector<char> piece(kPieceBytes);
  while (true) {
    const ssize_t count = ::read(file.fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "read");
    if (count == 0) return in_digits(XXH3_128bits_digest(&state));
    XXH3_128bits_update(&state, piece.data(), static_cast<size_t>(count));
  }
}

}  // namespace txtsum::core
