#pragma once

// The CUDA kernels of decoding, on plain pointers (see device_kernels.h). A row is one running hypothesis; the rows of
// a slot belong to one document.

#include "device_kernels.h"

namespace txtsum::ops::cuda {

/// Attention of each row's new token to the row's own past and to itself; its key and value are put into the cache.
struct DecodeSelf {
  Type type = Type::kFloat;
  int64_t rows = 0, heads = 0, head_width = 0;
  int64_t capacity = 0;  ///< Positions that a row's cache holds.
  float scale = 1.0f;
  const float* bias = nullptr;       ///< [heads, capacity]: of each distance to the past, added to scores; may be null
  const void* qkv = nullptr;         ///< [rows, 3 heads * head_width]
  void* cache = nullptr;             ///< [rows * capacity, 2 heads * head_width], keys then values
  const int32_t* origins = nullptr;  ///< [rows, capacity]: the row whose cache holds a row's past position
  const int32_t* lengths = nullptr;  ///< [rows]: past positions, where the new one goes
  void* out = nullptr;               ///< [rows, heads * head_width]
};
void decode_self(const DecodeSelf& attention, cudaStream_t stream);

/// Keys that a block reads; where a cache holds more, several blocks share them.
inline constexpr int64_t kCrossPart = 1024;

/// Attention of all rows of each slot to the slot's source.
struct DecodeCross {
  Type type = Type::kFloat;
  int64_t slots = 0, beams = 0, heads = 0, head_width = 0;
  int64_t capacity = 0;  ///< Source tokens that a slot's cache holds.
  float scale = 1.0f;
  const void* q = nullptr;           ///< [slots * beams, heads * head_width]
  const void* cache = nullptr;       ///< [slots * capacity, 2 heads * head_width]
  const int32_t* lengths = nullptr;  ///< [slots]; 0: the slot is empty, its rows get 0
  int64_t parts = 1;                 ///< capacity / kCrossPart, rounded up
  float* partials = nullptr;         ///< [slots * beams, heads, parts, head_width + 2]; scratch, with one part null
  void* out = nullptr;               ///< [slots * beams, heads * head_width]
};
void decode_cross(const DecodeCross& attention, cudaStream_t stream);

}  // namespace txtsum::ops::cuda
