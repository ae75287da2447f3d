#pragma once

// The CUDA kernels of attention by tiles of 64 tokens, on plain pointers (see device_kernels.h).

#include "device_kernels.h"

namespace txtsum::ops::cuda {

/// Lists of tiles for every number of tiles, head and row, as ops::BlockLists lays them out; null: every tile.
struct TileLists {
  const int32_t* firsts = nullptr;
  const int32_t* starts = nullptr;
  const uint16_t* entries = nullptr;
  bool per_head = false;
};

struct TileAttention {
  Type type = Type::kBFloat16;  ///< kBFloat16 or kHalf.
  int64_t sequences = 0, heads = 0, head_width = 0;
  int64_t tokens = 0;   ///< Rows of all sequences.
  int64_t longest = 0;  ///< At least the tokens of the longest sequence.
  float scale = 1.0f;
  bool causal = false;
  const int32_t* offsets = nullptr;                     ///< [sequences + 1]
  const void *q = nullptr, *k = nullptr, *v = nullptr;  ///< Rows of heads * head_width elements ...
  int64_t stride = 0;                                   ///< ... so many elements apart; a multiple of 8.
  void* out = nullptr;                                  ///< [tokens, heads * head_width]
  float* log_sums = nullptr;                            ///< [heads, tokens], base 2
  TileLists keys_of_queries;
  const float* bias = nullptr;  ///< [heads, 2 bias_range + 1]; null: none.
  int32_t bias_range = 0;
};
void tile_attention(const TileAttention& attention, cudaStream_t stream);

struct TileAttentionBackward {
  TileAttention forward;  ///< `out` and `log_sums` are read.
  TileLists queries_of_keys;
  const void* d_out = nullptr;                          ///< [tokens, heads * head_width]
  void *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;  ///< Rows `d_stride` elements apart.
  int64_t d_stride = 0;
  float* deltas = nullptr;         ///< [heads, tokens]; scratch.
  float* bias_partials = nullptr;  ///< [sequences, tile_count(longest), heads, 2 bias_range + 1]; scratch.
  float* d_bias = nullptr;         ///< [heads, 2 bias_range + 1]; overwritten.
};
void tile_attention_backward(const TileAttentionBackward& backward, cudaStream_t stream);

/// Tiles of a sequence of `tokens` tokens.
inline int64_t tile_count(int64_t tokens) { return (tokens + 63) / 64; }

}  // namespace txtsum::ops::cuda
