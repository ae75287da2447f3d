#pragma once

// Gradients of attention by tiles. One kernel has a tile of queries to a block and walks over its keys, for the
// gradients of queries and bias; the other has a tile of keys and walks over the queries that see it. Nothing is added
// by two blocks, so sums have a fixed order.

#include "device_row.cuh"
#include "tile_distances.cuh"
#include "tile_product.cuh"

namespace txtsum::ops::cuda {

/// Columns of a product that are held at a time, in eights: so few that three blocks have room for their registers on a
/// multiprocessor, two with wide heads.
constexpr int kHeldKeys = 4;
template <int K>
constexpr int kHeldQueries = K == 64 ? 4 : 2;

/// Of both kernels: a tile and its like for the other two inputs, two pairs; then two numbers a row.
template <int K>
constexpr int kBackwardTileBytes = 6 * kTileBytes<K>;
template <int K>
constexpr int kQueryBytes = kBackwardTileBytes<K> + 2 * kTile* kFloatBytes;
template <int K>
constexpr int kKeyBytes = kBackwardTileBytes<K> + 4 * kTile* kFloatBytes;
constexpr int kBiasBytes = 2 * kDistances * kFloatBytes;
/// log_sums and deltas of the tile's queries to shared memory, [64] each; the deltas (the sums over a row of result
/// times its gradient) are made here and kept for the other kernel. Rows that are not there get no probability.
template <typename T, int K>
__device__ __forceinline__ void make_deltas(const TileAttentionBackward& in, const TilePlace& place, float* log_sums,
                                            float* deltas) {
  const int row = static_cast<int>(threadIdx.x) / 2, half = static_cast<int>(threadIdx.x) % 2;
  const bool inside = row < place.rows(place.tile);
  const int64_t number = place.first_row(place.tile) + row, place_of_sums = place.head * in.forward.tokens + number;
  float sum = 0.0f;
  if (inside) {
    const int64_t at = number * in.forward.heads * K + place.head * K + half * (K / 2);
    const T *out = static_cast<const T*>(in.forward.out) + at, *d_out = static_cast<const T*>(in.d_out) + at;
#pragma unroll
    for (int i = 0; i < K / 2; i += kVector) {
      float x[kVector], y[kVector];
      load8(out + i, x);
      load8(d_out + i, y);
#pragma unroll
      for (int e = 0; e < kVector; ++e) sum += x[e] * y[e];
    }
  }
  sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 1);
  if (half != 0) return;
  log_sums[row] = inside ? in.forward.log_sums[place_of_sums] : INFINITY;
  deltas[row] = sum;
  if (inside) in.deltas[place_of_sums] = sum;
}

template <typename T, int K, bool kBias>
__device__ __forceinline__ void tile_backward_queries(const TileAttentionBackward& in, unsigned char* shared) {
  const TileAttention& forward = in.forward;
  TilePlace place;
  if (!find_tile(forward, forward.keys_of_queries.entries != nullptr, forward.causal, place)) return;
  const TileList list = list_of(forward.keys_of_queries, place, 0, forward.causal ? place.tile + 1 : place.tiles);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp_row = static_cast<int>(threadIdx.x) / 32 * kWarpRows;
  const int64_t channel = static_cast<int64_t>(place.head) * K, width = forward.heads * K;
  const int rows = place.rows(place.tile);
  const int64_t first = place.first_row(place.tile);
  const T *k = static_cast<const T*>(forward.k) + channel, *v = static_cast<const T*>(forward.v) + channel;
  const uint32_t queries = shared_address(shared), gradients = queries + kTileBytes<K>;
  float *log_sums = reinterpret_cast<float*>(shared + kBackwardTileBytes<K>), *deltas = log_sums + kTile;
  float* biases = deltas + kTile;
  DistanceSums distances(biases + 2 * kDistances, kBias ? forward.bias_range : -1);
  const auto load = [&](int i) {
    const int tile = list.tile(i);
    const int64_t from = place.first_row(tile) * forward.stride;
    const uint32_t keys = queries + static_cast<uint32_t>((2 + i % 2 * 2) * kTileBytes<K>);
    load_tile<K>(keys, k + from, forward.stride, place.rows(tile));
    load_tile<K>(keys + kTileBytes<K>, v + from, forward.stride, place.rows(tile));
    if constexpr (kBias) load_bias(biases + i % 2 * kDistances, forward, place.head, tile, place.tile);
    close_copies();
  };
  load_tile<K>(queries, static_cast<const T*>(forward.q) + first * forward.stride + channel, forward.stride, rows);
  load_tile<K>(gradients, static_cast<const T*>(in.d_out) + first * width + channel, width, rows);
  load(0);
  make_deltas<T, K>(in, place, log_sums, deltas);
  __syncthreads();
  const int row = warp_row + lane / 4;
  const float log_sum[2] = {log_sums[row], log_sums[row + 8]}, delta[2] = {deltas[row], deltas[row + 8]};

  constexpr int kHeld = kHeldKeys;
  float d_q[K / 8][4] = {};
  const float scale = forward.scale * kLog2E;
  for (int i = 0; i < list.count; ++i) {
    if (i + 1 < list.count) {
      load(i + 1);
      wait_for_copies<1>();
    } else {
      wait_for_copies<0>();
    }
    __syncthreads();
    const int tile = list.tile(i), keys_inside = place.rows(tile), apart = (tile - place.tile) * kTile;
    const bool diagonal = forward.causal && tile == place.tile;
    const float weight = list.weight(i);
    const uint32_t keys = queries + static_cast<uint32_t>((2 + i % 2 * 2) * kTileBytes<K>);
#pragma unroll 1
    for (int column = 0; column < kTile; column += 8 * kHeld) {
      float s[kHeld][4] = {}, d_p[kHeld][4] = {};
      add_row_products<T, K>(s, queries, warp_row, keys, column);
      add_row_products<T, K>(d_p, gradients, warp_row, keys + kTileBytes<K>, column);
#pragma unroll
      for (int j = 0; j < kHeld; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int key = column + 8 * j + lane % 4 * 2 + e % 2, query = row + e / 2 * 8;
          float score = s[j][e] * scale + weight - log_sum[e / 2];
          if constexpr (kBias) score += biases[i % 2 * kDistances + key - query + kTile - 1];
          const bool hidden = key >= keys_inside || (diagonal && key > query);
          s[j][e] = hidden ? 0.0f : power_of_two(score) * (d_p[j][e] - delta[e / 2]);
          if constexpr (kBias) distances.add(s[j][e], query, key, apart);
        }
      }
      add_weighted_rows<T, K>(d_q, s, keys, column);
    }
    if constexpr (kBias) distances.finish_pair(apart);
    __syncthreads();  // the next copies go where this pair was
  }
  store_rows<T, K>(d_q, forward.scale, forward.scale, shared, static_cast<T*>(in.d_q) + first * in.d_stride + channel,
                   in.d_stride, rows);
  if constexpr (kBias) {
    const int64_t block = (place.sequence * static_cast<int64_t>(gridDim.z) + place.tile) * forward.heads + place.head;
    distances.store(in.bias_partials + block * (2 * forward.bias_range + 1));
  }
}

template <typename T, int K, bool kBias>
__device__ __forceinline__ void tile_backward_keys(const TileAttentionBackward& in, unsigned char* shared) {
  const TileAttention& forward = in.forward;
  TilePlace place;
  if (!find_tile(forward, in.queries_of_keys.entries != nullptr, /*last_first=*/false, place)) return;
  const TileList list = list_of(in.queries_of_keys, place, forward.causal ? place.tile : 0, place.tiles);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp_row = static_cast<int>(threadIdx.x) / 32 * kWarpRows;
  const int64_t channel = static_cast<int64_t>(place.head) * K, width = forward.heads * K;
  const int rows = place.rows(place.tile);
  const int64_t first = place.first_row(place.tile);
  const T *q = static_cast<const T*>(forward.q) + channel, *d_out = static_cast<const T*>(in.d_out) + channel;
  const uint32_t keys = shared_address(shared), values = keys + kTileBytes<K>;
  float* row_numbers = reinterpret_cast<float*>(shared + kBackwardTileBytes<K>);  // two pairs of log_sums and deltas
  float* biases = row_numbers + 4 * kTile;
  const auto load = [&](int i) {
    const int tile = list.tile(i), inside = place.rows(tile);
    const int64_t from = place.first_row(tile);
    const uint32_t queries = keys + static_cast<uint32_t>((2 + i % 2 * 2) * kTileBytes<K>);
    load_tile<K>(queries, q + from * forward.stride, forward.stride, inside);
    load_tile<K>(queries + kTileBytes<K>, d_out + from * width, width, inside);
    const int number = static_cast<int>(threadIdx.x) % kTile;
    const bool is_sum = static_cast<int>(threadIdx.x) < kTile;
    float value = is_sum ? INFINITY : 0.0f;  // a query that is not there gives no probability
    if (number < inside) value = (is_sum ? forward.log_sums : in.deltas)[place.head * forward.tokens + from + number];
    row_numbers[i % 2 * 2 * kTile + static_cast<int>(threadIdx.x)] = value;
    if constexpr (kBias) load_bias(biases + i % 2 * kDistances, forward, place.head, place.tile, tile);
    close_copies();
  };
  load_tile<K>(keys, static_cast<const T*>(forward.k) + first * forward.stride + channel, forward.stride, rows);
  load_tile<K>(values, static_cast<const T*>(forward.v) + first * forward.stride + channel, forward.stride, rows);
  load(0);

  constexpr int kHeld = kHeldQueries<K>;
  float d_k[K / 8][4] = {}, d_v[K / 8][4] = {};
  const float scale = forward.scale * kLog2E;
  for (int i = 0; i < list.count; ++i) {
    if (i + 1 < list.count) {
      load(i + 1);
      wait_for_copies<1>();
    } else {
      wait_for_copies<0>();
    }
    __syncthreads();
    const bool diagonal = forward.causal && list.tile(i) == place.tile;
    const float weight = list.weight(i);
    const uint32_t queries = keys + static_cast<uint32_t>((2 + i % 2 * 2) * kTileBytes<K>);
    const float *log_sums = row_numbers + i % 2 * 2 * kTile, *deltas = log_sums + kTile;
#pragma unroll 1
    for (int column = 0; column < kTile; column += 8 * kHeld) {
      float p[kHeld][4] = {}, d_p[kHeld][4] = {};
      add_row_products<T, K>(p, keys, warp_row, queries, column);
      add_row_products<T, K>(d_p, values, warp_row, queries + kTileBytes<K>, column);
#pragma unroll
      for (int j = 0; j < kHeld; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int query = column + 8 * j + lane % 4 * 2 + e % 2, key = warp_row + lane / 4 + e / 2 * 8;
          float score = p[j][e] * scale + weight - log_sums[query];
          if constexpr (kBias) score += biases[i % 2 * kDistances + key - query + kTile - 1];
          p[j][e] = diagonal && key > query ? 0.0f : power_of_two(score);
          d_p[j][e] = p[j][e] * (d_p[j][e] - deltas[query]);
        }
      }
      add_weighted_rows<T, K>(d_v, p, queries + kTileBytes<K>, column);
      add_weighted_rows<T, K>(d_k, d_p, queries, column);
    }
    __syncthreads();  // the next copies go where this pair was
  }
  const int64_t to = first * in.d_stride + channel;
  store_rows<T, K>(d_k, forward.scale, forward.scale, shared, static_cast<T*>(in.d_k) + to, in.d_stride, rows);
  store_rows<T, K>(d_v, 1.0f, 1.0f, shared + kTileBytes<K>, static_cast<T*>(in.d_v) + to, in.d_stride, rows);
}

}  // namespace txtsum::ops::cuda
