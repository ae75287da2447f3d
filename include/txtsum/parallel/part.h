#pragma once

#include <cstdint>

namespace txtsum::parallel {

/// A stretch of elements.
struct Part {
  int64_t begin = 0, end = 0;
  int64_t numel() const { return end - begin; }
  bool operator==(const Part&) const = default;
};

/// Elements of the longest part of `numel` elements on `world` ranks.
int64_t part_length(int64_t numel, int64_t world);

/// What rank `rank` of `world` has of `numel` elements. All parts have the same length, a multiple of 8, but those at
/// the end, which may be shorter or empty.
Part part_of(int64_t numel, int64_t world, int64_t rank);

}  // namespace txtsum::parallel
