#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace txtsum::core {

/// One block of Philox4x32-10 (Salmon et al., SC 2011): four 32-bit words, a pure function of counter and key.
inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A stream of random numbers keyed by (seed, stream): the same on every platform and library version.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  uint32_t next_u32();
  /// Uniform in [0, bound), without modulo bias. `bound` must be positive.
  uint64_t next_below(uint64_t bound);
  /// Uniform in [0, 1).
  double next_unit();
  /// Standard normal (Box-Muller).
  double next_normal();

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t block_ = 0;
  int used_ = 4;
  std::array<uint32_t, 4> words_{};
};

/// A permutation of 0..count-1, a pure function of (seed, stream) (Fisher-Yates).
std::vector<int64_t> random_permutation(int64_t count, uint64_t seed, uint64_t stream);

}  // namespace txtsum::core
