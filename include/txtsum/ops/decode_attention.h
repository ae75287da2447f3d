#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace txtsum::ops {

/// Attention of one new query a row over keys in a pool, without gradients. q: [R, D]; keys, values: [P, D] views whose
/// last dimension is contiguous; row r attends to pool rows begin[r] to begin[r] + length[r] - 1. Returns [R, D].
at::Tensor decode_attention(const at::Tensor& q_RD, const at::Tensor& keys_PD, const at::Tensor& values_PD,
                            const std::vector<int64_t>& begin, const std::vector<int64_t>& length, int64_t heads,
                            double scale);

}  // namespace txtsum::ops
