#pragma once

// What choosing candidates and taking them share.

#include <cstdint>

#include "device_row.cuh"
#include "search_kernels.h"

namespace txtsum::ops::cuda {

struct Choice {
  float score;
  int32_t id;
};

__device__ __forceinline__ bool better(Choice a, Choice b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

__device__ __forceinline__ Choice warp_best(Choice mine) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Choice other{__shfl_xor_sync(0xFFFFFFFFu, mine.score, step), __shfl_xor_sync(0xFFFFFFFFu, mine.id, step)};
    if (better(other, mine)) mine = other;
  }
  return mine;
}

__device__ __forceinline__ bool contains(const IdList& list, int32_t id) {
  for (int i = 0; i < list.count; ++i) {
    if (list.ids[i] == id) return true;
  }
  return false;
}

}  // namespace txtsum::ops::cuda
