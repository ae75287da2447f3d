#include "txtsum/parallel/part.h"

#include <algorithm>

#include "txtsum/core/check.h"

namespace txtsum::parallel {
namespace {

/// Parts begin at multiples of it: 32 bytes of fp32, 16 of bf16.
constexpr int64_t kPartMultiple = 8;

}  // namespace

int64_t part_length(int64_t numel, int64_t world) {
  TXTSUM_CHECK(numel >= 0 && world >= 1, "numel ", numel, " world ", world);
  const int64_t shared = (numel + world - 1) / world;
  const int64_t rounded = (shared + kPartMultiple - 1) / kPartMultiple * kPartMultiple;
  return std::min(rounded, numel);
}

Part part_of(int64_t numel, int64_t world, int64_t rank) {
  TXTSUM_CHECK(rank >= 0 && rank < world, "rank ", rank, " world ", world);
  const int64_t length = part_length(numel, world);
  return {std::min(rank * length, numel), std::min((rank + 1) * length, numel)};
}

}  // namespace txtsum::parallel
