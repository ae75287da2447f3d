#pragma once

// Products of tiles of 64 rows in shared memory, and where the tiles of a ragged batch lie. K: width of a head.

#include <type_traits>

#include "tile_kernels.h"
#include "tile_primitives.cuh"

namespace txtsum::ops::cuda {

constexpr int kTile = 64;
constexpr int kTileThreads = 128;
/// Rows of a tile that a warp computes.
constexpr int kWarpRows = 16;
/// Distances within a pair of tiles: -63 to 63, padded.
constexpr int kDistances = 128;
constexpr int kFloatBytes = static_cast<int>(sizeof(float));
constexpr float kLog2E = 1.4426950408889634f;

template <int K>
constexpr int kTileBytes = kTile* K * 2;

/// Where 16 bytes of a row lie: the lowest three bits of their number are mixed with the row's, so that eight rows at
/// one column are in eight different groups of banks.
template <int K>
__device__ __forceinline__ uint32_t tile_place(uint32_t tile, int row, int chunk) {
  return tile + static_cast<uint32_t>(row * (K * 2) + ((chunk ^ (row & 7)) << 4));
}

/// Starts the copy of the first `count` rows of 64, `stride` elements apart; the others become zero.
template <int K, typename T>
__device__ __forceinline__ void load_tile(uint32_t tile, const T* rows, int64_t stride, int count) {
  constexpr int kChunks = K / 8;
#pragma unroll
  for (int i = 0; i < kTile * kChunks / kTileThreads; ++i) {
    const int piece = i * kTileThreads + static_cast<int>(threadIdx.x);
    const int row = piece / kChunks, chunk = piece % kChunks;
    const bool inside = row < count;
    copy16(tile_place<K>(tile, row, chunk), rows + (inside ? row : 0) * stride + chunk * 8, inside);
  }
}

__device__ __forceinline__ uint32_t pack(__nv_bfloat16, float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

__device__ __forceinline__ uint32_t pack(__half, float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

/// c += A B^T, A: rows `row` to row + 15 of tile a, B: rows `column` to column + 8 N - 1 of tile b.
template <typename T, int K, int N>
__device__ __forceinline__ void add_row_products(float (&c)[N][4], uint32_t a, int row, uint32_t b, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int k = 0; k < K; k += 16) {
    uint32_t left[4];
    load_matrices(left, tile_place<K>(a, row + (lane & 15), k / 8 + (lane >> 4)));
#pragma unroll
    for (int j = 0; j < N; j += 2) {
      uint32_t right[4];
      load_matrices(right,
                    tile_place<K>(b, column + 8 * j + (lane & 7) + ((lane >> 4) << 3), k / 8 + ((lane >> 3) & 1)));
      multiply_add(T{}, c[j], left, right[0], right[1]);
      multiply_add(T{}, c[j + 1], left, right[2], right[3]);
    }
  }
}

/// c += P B, P: 16 x 8 N numbers as products leave them, rounded to T; B: rows `row` to row + 8 N - 1 of tile b.
template <typename T, int K, int N>
__device__ __forceinline__ void add_weighted_rows(float (&c)[K / 8][4], const float (&p)[N][4], uint32_t b, int row) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int j = 0; j < N; j += 2) {
    const uint32_t left[4] = {pack(T{}, p[j][0], p[j][1]), pack(T{}, p[j][2], p[j][3]),
                              pack(T{}, p[j + 1][0], p[j + 1][1]), pack(T{}, p[j + 1][2], p[j + 1][3])};
#pragma unroll
    for (int k = 0; k < K; k += 16) {
      uint32_t right[4];
      load_transposed(right, tile_place<K>(b, row + 8 * j + (lane & 15), k / 8 + (lane >> 4)));
      multiply_add(T{}, c[k / 8], left, right[0], right[1]);
      multiply_add(T{}, c[k / 8 + 1], left, right[2], right[3]);
    }
  }
}

/// Writes the warp's 16 rows, times two factors a lane, to rows `stride` elements apart; the first `count` rows of the
/// tile are there. `memory` is a tile of shared memory whose 16 rows no other warp uses.
template <typename T, int K>
__device__ __forceinline__ void store_rows(const float (&c)[K / 8][4], float factor, float second_factor,
                                           unsigned char* memory, T* rows, int64_t stride, int count) {
  const int lane = static_cast<int>(threadIdx.x) % 32, first = static_cast<int>(threadIdx.x) / 32 * kWarpRows;
  const int row = first + lane / 4;
  __syncwarp();
#pragma unroll
  for (int j = 0; j < K / 8; ++j) {
    const int inner = lane % 4 * 4;
    *reinterpret_cast<uint32_t*>(memory + tile_place<K>(0, row, j) + inner) =
        pack(T{}, c[j][0] * factor, c[j][1] * factor);
    *reinterpret_cast<uint32_t*>(memory + tile_place<K>(0, row + 8, j) + inner) =
        pack(T{}, c[j][2] * second_factor, c[j][3] * second_factor);
  }
  __syncwarp();
  constexpr int kChunks = K / 8;
#pragma unroll
  for (int i = 0; i < kWarpRows * kChunks / 32; ++i) {
    const int piece = i * 32 + lane, to = first + piece / kChunks, chunk = piece % kChunks;
    if (to < count) {
      *reinterpret_cast<uint4*>(rows + to * stride + chunk * 8) =
          *reinterpret_cast<const uint4*>(memory + tile_place<K>(0, to, chunk));
    }
  }
}

/// The tile that a block computes.
struct TilePlace {
  int head, sequence, tile;
  int begin, length, tiles;  ///< Of the sequence.

  /// Rows of tile `number`.
  __device__ __forceinline__ int rows(int number) const { return min(kTile, length - number * kTile); }
  __device__ __forceinline__ int64_t first_row(int number) const {
    return begin + static_cast<int64_t>(number) * kTile;
  }
};

/// Blocks are numbered so that those with the longest lists start first: with lists the first and the last tile, else
/// `last_first` says. False where there is no such tile.
__device__ __forceinline__ bool find_tile(const TileAttention& in, bool has_lists, bool last_first, TilePlace& place) {
  place.head = static_cast<int>(blockIdx.x);
  place.sequence = static_cast<int>(blockIdx.y);
  const int order = static_cast<int>(blockIdx.z);
  place.begin = in.offsets[place.sequence];
  place.length = in.offsets[place.sequence + 1] - place.begin;
  place.tiles = (place.length + kTile - 1) / kTile;
  if (order >= place.tiles) return false;
  if (has_lists) {
    place.tile = order == 0 ? 0 : order == 1 ? place.tiles - 1 : order - 1;
  } else {
    place.tile = last_first ? place.tiles - 1 - order : order;
  }
  return true;
}

/// The tiles of the other side that one tile meets.
struct TileList {
  const uint16_t* entries;  ///< Null: those from `first` on.
  int first, count;

  __device__ __forceinline__ int tile(int i) const { return entries != nullptr ? entries[i] & 0xFFF : first + i; }
  /// log2 of how often it counts.
  __device__ __forceinline__ float weight(int i) const {
    const int times = entries != nullptr ? (entries[i] >> 12) + 1 : 1;
    return times == 1 ? 0.0f : log2f(static_cast<float>(times));
  }
};

__device__ __forceinline__ TileList list_of(const TileLists& lists, const TilePlace& place, int first, int last) {
  if (lists.entries == nullptr) return {nullptr, first, last - first};
  const int32_t* start =
      lists.starts + lists.firsts[place.tiles] + (lists.per_head ? place.head * place.tiles : 0) + place.tile;
  return {lists.entries + start[0], 0, start[1] - start[0]};
}

/// The biases of one pair of tiles in units of log2, by key - query within the pair + 63.
__device__ __forceinline__ void load_bias(float* to, const TileAttention& in, int head, int key_tile, int query_tile) {
  const int x = static_cast<int>(threadIdx.x);
  if (x >= kDistances - 1) return;
  const int distance = (key_tile - query_tile) * kTile + x - (kTile - 1);
  const int column = min(max(distance, -in.bias_range), in.bias_range) + in.bias_range;
  to[x] = in.bias[static_cast<int64_t>(head) * (2 * in.bias_range + 1) + column] * kLog2E;
}

}  // namespace txtsum::ops::cuda
