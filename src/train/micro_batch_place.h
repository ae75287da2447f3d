#pragma once

#include <compare>

namespace txtsum::train {

/// A micro-batch's place in its update.
struct MicroBatchPlace {
  bool first = true, last = true;
  auto operator<=>(const MicroBatchPlace&) const = default;
  /// Whether it is the update's only one.
  bool alone() const { return first && last; }
};

}  // namespace txtsum::train
