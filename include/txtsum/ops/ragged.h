#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace txtsum::ops {

/// One side (source or target) of a batch without padding: the tokens of all sequences one after the other.
/// N: tokens of all sequences; B: sequences.
struct RaggedTokens {
  at::Tensor ids_N;              ///< int64 token ids.
  at::Tensor positions_N;        ///< int64 position of each token in its own sequence, from 0.
  at::Tensor examples_N;         ///< int64 global number of the example that each token belongs to (keys dropout).
  std::vector<int64_t> offsets;  ///< B + 1 row numbers; sequence b is rows offsets[b] to offsets[b + 1].
  at::Tensor offsets_B1;         ///< The same as int32, where the ids are.
  int64_t longest = 0;           ///< At least the tokens of the longest sequence.
  bool recurs = false;           ///< Batches of the very same shape will come again: kernels may be planned for it.

  int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t tokens() const { return offsets.back(); }
};

/// Builds positions, example numbers and `longest` on the CPU from ids, offsets (B + 1) and one example number a
/// sequence.
RaggedTokens make_ragged_tokens(std::vector<int64_t> ids, std::vector<int64_t> offsets,
                                const std::vector<int64_t>& example_numbers);

/// The same tokens with their tensors on `device`.
RaggedTokens to_device(const RaggedTokens& tokens, const at::Device& device);

}  // namespace txtsum::ops
