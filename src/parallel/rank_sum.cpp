#include "rank_sum.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <array>

#include "txtsum/core/check.h"

namespace txtsum::parallel {
namespace {

/// Elements whose sums are kept at a time: they stay in the first-level cache.
constexpr int64_t kBlock = 2048;

template <typename Element, typename Sum>
void add_typed(const std::vector<const void*>& inputs, int64_t count, void* out) {
  std::array<Sum, kBlock> sums;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = std::min(kBlock, count - begin);
    for (size_t r = 0; r < inputs.size(); ++r) {
      const Element* addends = static_cast<const Element*>(inputs[r]) + begin;
      if (r == 0) {
        for (int64_t i = 0; i < length; ++i) sums[static_cast<size_t>(i)] = static_cast<Sum>(addends[i]);
      } else {
        for (int64_t i = 0; i < length; ++i) sums[static_cast<size_t>(i)] += static_cast<Sum>(addends[i]);
      }
    }
    // `out` may be an input: all of the block has been read by now.
    Element* results = static_cast<Element*>(out) + begin;
    for (int64_t i = 0; i < length; ++i) results[i] = static_cast<Element>(sums[static_cast<size_t>(i)]);
  }
}

}  // namespace

void add_in_order(c10::ScalarType type, const std::vector<const void*>& inputs, int64_t count, void* out) {
  switch (type) {
    case c10::ScalarType::Double:
      return add_typed<double, double>(inputs, count, out);
    case c10::ScalarType::Float:
      return add_typed<float, float>(inputs, count, out);
    case c10::ScalarType::BFloat16:
      return add_typed<c10::BFloat16, float>(inputs, count, out);
    case c10::ScalarType::Half:
      return add_typed<c10::Half, float>(inputs, count, out);
    default:
      TXTSUM_CHECK(false, "type ", c10::toString(type));
  }
}

}  // namespace txtsum::parallel
