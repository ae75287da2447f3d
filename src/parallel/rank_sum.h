#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

namespace txtsum::parallel {

/// Writes into `out` the sums of `count` elements over `inputs`, added in their order, in fp32 (fp64 for fp64), rounded
/// once. All are of `type` (fp64, fp32, bf16 or fp16); `out` may be one of the inputs.
void add_in_order(c10::ScalarType type, const std::vector<const void*>& inputs, int64_t count, void* out);

}  // namespace txtsum::parallel
