#include "txtsum/core/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace txtsum::core {

uint32_t RandomStream::next_u32() {
  if (used_ == 4) {
    words_ = philox4x32({static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32),
                         static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                        {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
    ++block_;
    used_ = 0;
  }
  return words_[static_cast<size_t>(used_++)];
}

uint64_t RandomStream::next_below(uint64_t bound) {
  // Values under 2^64 mod bound would make the low residues likelier.
  const uint64_t threshold = (0 - bound) % bound;
  while (true) {
    const uint64_t high = next_u32();
    const uint64_t value = high << 32 | next_u32();
    if (value >= threshold) return value % bound;
  }
}

double RandomStream::next_unit() {
  const uint64_t high = next_u32();
  return static_cast<double>((high << 32 | next_u32()) >> 11) * 0x1.0p-53;
}

double RandomStream::next_normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - next_unit()));
  return radius * std::cos(2.0 * std::numbers::pi * next_unit());
}

std::vector<int64_t> random_permutation(int64_t count, uint64_t seed, uint64_t stream) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  RandomStream random(seed, stream);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.next_below(i)]);
  return order;
}

}  // namespace txtsum::core
