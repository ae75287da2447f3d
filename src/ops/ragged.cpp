#include "txtsum/ops/ragged.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "txtsum/core/check.h"

namespace txtsum::ops {

RaggedTokens make_ragged_tokens(std::vector<int64_t> ids, std::vector<int64_t> offsets,
                                const std::vector<int64_t>& example_numbers) {
  TXTSUM_CHECK(!offsets.empty() && offsets.front() == 0 && offsets.back() == static_cast<int64_t>(ids.size()));
  TXTSUM_CHECK(example_numbers.size() + 1 == offsets.size());
  RaggedTokens tokens;
  const int64_t count = static_cast<int64_t>(ids.size());
  tokens.ids_N = at::empty({count}, at::kLong);
  tokens.positions_N = at::empty({count}, at::kLong);
  tokens.examples_N = at::empty({count}, at::kLong);
  std::copy(ids.begin(), ids.end(), tokens.ids_N.mutable_data_ptr<int64_t>());
  int64_t* positions = tokens.positions_N.mutable_data_ptr<int64_t>();
  int64_t* examples = tokens.examples_N.mutable_data_ptr<int64_t>();
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    TXTSUM_CHECK(offsets[b] <= offsets[b + 1]);
    tokens.longest = std::max(tokens.longest, offsets[b + 1] - offsets[b]);
    for (int64_t row = offsets[b]; row < offsets[b + 1]; ++row) {
      positions[row] = row - offsets[b];
      examples[row] = example_numbers[b];
    }
  }
  tokens.offsets_B1 = at::tensor(offsets, at::kLong).to(at::kInt);
  tokens.offsets = std::move(offsets);
  return tokens;
}

RaggedTokens to_device(const RaggedTokens& tokens, const at::Device& device) {
  RaggedTokens moved = tokens;
  for (at::Tensor* tensor : {&moved.ids_N, &moved.positions_N, &moved.examples_N, &moved.offsets_B1}) {
    *tensor = tensor->to(device);
  }
  return moved;
}

}  // namespace txtsum::ops
