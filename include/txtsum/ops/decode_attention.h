#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace txtsum::ops {

/// What the heads of one attention have alike.
struct DecodeHeads {
  int64_t heads = 1;
  double scale = 1.0;       ///< Factor on the products of queries and keys.
  at::Tensor bias_HT = {};  ///< fp32: added to the score of the position t before the query's; undefined: nothing.
};

/// Attention of one new query a row over keys in a pool, without gradients, on the CPU. q: [R, D]; keys, values: [P, D]
/// views whose last dimension is contiguous; row r attends to pool rows begin[r] to begin[r] + length[r] - 1, the last
/// of which is its own position. Returns [R, D].
at::Tensor decode_attention(const at::Tensor& q_RD, const at::Tensor& keys_PD, const at::Tensor& values_PD,
                            const std::vector<int64_t>& begin, const std::vector<int64_t>& length,
                            const DecodeHeads& heads);

/// The past of every decoding row on a GPU. Rows never move in the cache: a row that goes on from another one reads
/// that one's positions where they are.
struct DeviceRows {
  at::Tensor origins_RT;  ///< int32: the row whose cache holds position t of row r.
  at::Tensor lengths_R;   ///< int32: positions that row r has; the new one goes behind them.
};

/// Attention of each row's new token to the row's past and to itself, on a GPU. qkv: [R, 3 D]; cache: [R T, 2 D], keys
/// then values, which gets the new key and value; the place that it fills is in no row's past. Returns [R, D]. Head
/// widths: 8 to 256, powers of two.
at::Tensor decode_self_attention(const at::Tensor& qkv_RE, const at::Tensor& cache_PE, const DeviceRows& rows,
                                 const DecodeHeads& heads);

/// Attention of all rows of each slot to the slot's source, on a GPU. q: [slots * beams, D]; cache: [slots * S, 2 D],
/// of which the first lengths[slot] rows of a slot count (int32; 0: the slot is empty). Takes no bias. Returns [slots *
/// beams, D].
at::Tensor decode_cross_attention(const at::Tensor& q_RD, const at::Tensor& cache_PE, const at::Tensor& lengths_slots,
                                  const DecodeHeads& heads);

}  // namespace txtsum::ops
