#pragma once

// The gradient of attention's bias by distance: sums of score gradients along the diagonals of pairs of tiles.

#include "tile_product.cuh"

namespace txtsum::ops::cuda {

/// Elements from row to row of a tile of score gradients: its diagonals lie in different banks.
constexpr int kScoreStride = kTile + 1;
inline int bias_gradient_bytes(int32_t range) { return (kTile * kScoreStride + 8 + 2 * range + 1) * kFloatBytes; }

/// Sums of score gradients by distance, of the pairs of one tile of queries.
struct DistanceSums {
  float* scores;  ///< Shared, [64, kScoreStride].
  float* ends;    ///< Shared, [8].
  float* sums;    ///< Shared, [2 range + 1].
  int range;
  float low = 0.0f, high = 0.0f;  ///< This thread's share of what lies beyond the range.

  __device__ __forceinline__ DistanceSums(float* memory, int range_of_table)
      : scores(memory), ends(memory + kTile * kScoreStride), sums(ends + 8), range(range_of_table) {
    for (int x = static_cast<int>(threadIdx.x); x < 2 * range + 1; x += kTileThreads) sums[x] = 0.0f;
  }

  /// One gradient, `apart` being the distance of the two tiles' first rows.
  __device__ __forceinline__ void add(float gradient, int query, int key, int apart) {
    const int distance = apart + key - query;
    const bool below = distance <= -range, above = !below && distance >= range;
    if (below) low += gradient;
    if (above) high += gradient;
    if (!all_beyond(apart)) scores[query * kScoreStride + key] = below || above ? 0.0f : gradient;
  }

  /// Whether no distance of the pair lies within the range.
  __device__ __forceinline__ bool all_beyond(int apart) const {
    return apart + kTile - 1 <= -range || apart - (kTile - 1) >= range;
  }

  /// Adds the diagonals up, once every thread has added its gradients of the pair. A barrier must follow.
  __device__ __forceinline__ void finish_pair(int apart) {
    if (all_beyond(apart)) return;
    __syncthreads();
    const int shift = static_cast<int>(threadIdx.x) - (kTile - 1), distance = apart + shift;
    if (shift > kTile - 1 || distance <= -range || distance >= range) return;
    float sum = 0.0f;
    for (int query = max(0, -shift); query < min(kTile, kTile - shift); ++query) {
      sum += scores[query * kScoreStride + query + shift];
    }
    sums[distance + range] += sum;
  }

  /// Writes all sums.
  __device__ __forceinline__ void store(float* to) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      low += __shfl_xor_sync(0xFFFFFFFFu, low, step);
      high += __shfl_xor_sync(0xFFFFFFFFu, high, step);
    }
    if (lane == 0) {
      ends[warp] = low;
      ends[4 + warp] = high;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      sums[0] += (ends[0] + ends[1]) + (ends[2] + ends[3]);
      sums[2 * range] += (ends[4] + ends[5]) + (ends[6] + ends[7]);
    }
    __syncthreads();
    for (int x = static_cast<int>(threadIdx.x); x < 2 * range + 1; x += kTileThreads) to[x] = sums[x];
  }
};

}  // namespace txtsum::ops::cuda
