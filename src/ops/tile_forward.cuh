#pragma once

// Attention of one tile of queries: a softmax over one tile of keys after the other, kept up to date (FlashAttention-2,
// Dao 2023), each warp for 16 queries.

#include "tile_product.cuh"

namespace txtsum::ops::cuda {

/// Bytes of shared memory: the queries, two pairs of keys and values, two rows of biases.
template <int K>
constexpr int kForwardBytes = 5 * kTileBytes<K>;
constexpr int kForwardBiasBytes = 2 * kDistances * kFloatBytes;

template <int N>
__device__ __forceinline__ float largest_of_row(const float (&s)[N][4], int half) {
  float largest = -INFINITY;
#pragma unroll
  for (int j = 0; j < N; ++j) largest = fmaxf(largest, fmaxf(s[j][2 * half], s[j][2 * half + 1]));
  largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 1));
  return fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 2));
}

template <typename T, int K, bool kBias>
__device__ __forceinline__ void tile_forward(const TileAttention& in, unsigned char* shared) {
  TilePlace place;
  if (!find_tile(in, in.keys_of_queries.entries != nullptr, in.causal, place)) return;
  const TileList list = list_of(in.keys_of_queries, place, 0, in.causal ? place.tile + 1 : place.tiles);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp_row = static_cast<int>(threadIdx.x) / 32 * kWarpRows;
  const int64_t channel = static_cast<int64_t>(place.head) * K;
  const T *q = static_cast<const T*>(in.q) + channel, *k = static_cast<const T*>(in.k) + channel,
          *v = static_cast<const T*>(in.v) + channel;
  const uint32_t queries = shared_address(shared);
  float* biases = reinterpret_cast<float*>(shared + kForwardBytes<K>);
  const auto load = [&](int i) {
    const int tile = list.tile(i);
    const int64_t from = place.first_row(tile) * in.stride;
    const uint32_t keys = queries + static_cast<uint32_t>((1 + i % 2 * 2) * kTileBytes<K>);
    load_tile<K>(keys, k + from, in.stride, place.rows(tile));
    load_tile<K>(keys + kTileBytes<K>, v + from, in.stride, place.rows(tile));
    if constexpr (kBias) load_bias(biases + i % 2 * kDistances, in, place.head, tile, place.tile);
    close_copies();
  };
  load_tile<K>(queries, q + place.first_row(place.tile) * in.stride, in.stride, place.rows(place.tile));
  load(0);

  float out[K / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};
  const float scale = in.scale * kLog2E;
  for (int i = 0; i < list.count; ++i) {
    if (i + 1 < list.count) {
      load(i + 1);
      wait_for_copies<1>();
    } else {
      wait_for_copies<0>();
    }
    __syncthreads();
    const int tile = list.tile(i), keys_inside = place.rows(tile);
    const bool diagonal = in.causal && tile == place.tile;
    const float weight = list.weight(i);
    const uint32_t keys = queries + static_cast<uint32_t>((1 + i % 2 * 2) * kTileBytes<K>);
    float s[kTile / 8][4] = {};
    add_row_products<T, K>(s, queries, warp_row, keys, 0);
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int key = 8 * j + lane % 4 * 2 + e % 2, query = warp_row + lane / 4 + e / 2 * 8;
        float score = s[j][e] * scale + weight;
        if constexpr (kBias) score += biases[i % 2 * kDistances + key - query + kTile - 1];
        s[j][e] = key >= keys_inside || (diagonal && key > query) ? -INFINITY : score;
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float now = fmaxf(largest[half], largest_of_row(s, half));
      const float factor = power_of_two(largest[half] - now);
      largest[half] = now;
      sum[half] *= factor;
#pragma unroll
      for (int j = 0; j < kTile / 8; ++j) {
        s[j][2 * half] = power_of_two(s[j][2 * half] - now);
        s[j][2 * half + 1] = power_of_two(s[j][2 * half + 1] - now);
        sum[half] += s[j][2 * half] + s[j][2 * half + 1];
      }
#pragma unroll
      for (int j = 0; j < K / 8; ++j) {
        out[j][2 * half] *= factor;
        out[j][2 * half + 1] *= factor;
      }
    }
    add_weighted_rows<T, K>(out, s, keys + kTileBytes<K>, 0);
    __syncthreads();  // the next copies go where this pair was
  }

  const int rows = place.rows(place.tile);
  const int64_t first = place.first_row(place.tile);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sum[half] += __shfl_xor_sync(0xFFFFFFFFu, sum[half], 1);
    sum[half] += __shfl_xor_sync(0xFFFFFFFFu, sum[half], 2);
    const int row = warp_row + lane / 4 + half * 8;
    if (lane % 4 == 0 && row < rows)
      in.log_sums[place.head * in.tokens + first + row] = largest[half] + log2f(sum[half]);
  }
  const int64_t width = in.heads * K;
  store_rows<T, K>(out, 1.0f / sum[0], 1.0f / sum[1], shared, static_cast<T*>(in.out) + first * width + channel, width,
                   rows);
}

}  // namespace txtsum::ops::cuda
