#pragma once

// What the row kernels share: eight neighbouring elements at a time, sums over a warp, Philox.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "device_kernels.h"

namespace txtsum::ops::cuda {

constexpr int kWarp = 32;
/// Elements that a thread moves at a time: 16 bytes of bf16.
constexpr int kVector = 8;

/// Calls `run` with a value of the type.
template <typename Run>
void with_type(Type type, const Run& run) {
  switch (type) {
    case Type::kFloat:
      return run(float{});
    case Type::kBFloat16:
      return run(__nv_bfloat16{});
    case Type::kHalf:
      return run(__half{});
  }
}

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ __forceinline__ float to_float(__half value) { return __half2float(value); }

__device__ __forceinline__ void store(float* to, float value) { *to = value; }
__device__ __forceinline__ void store(__nv_bfloat16* to, float value) { *to = __float2bfloat16_rn(value); }
__device__ __forceinline__ void store(__half* to, float value) { *to = __float2half_rn(value); }

__device__ __forceinline__ void load8(const float* from, float (&values)[kVector]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0], b = reinterpret_cast<const float4*>(from)[1];
  values[0] = a.x, values[1] = a.y, values[2] = a.z, values[3] = a.w;
  values[4] = b.x, values[5] = b.y, values[6] = b.z, values[7] = b.w;
}

__device__ __forceinline__ void load8(const __nv_bfloat16* from, float (&values)[kVector]) {
  const uint4 words = *reinterpret_cast<const uint4*>(from);
  const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = __uint_as_float(pairs[i] << 16);
    values[2 * i + 1] = __uint_as_float(pairs[i] & 0xFFFF0000u);
  }
}

__device__ __forceinline__ void load8(const __half* from, float (&values)[kVector]) {
  const uint4 words = *reinterpret_cast<const uint4*>(from);
  const __half2* pairs = reinterpret_cast<const __half2*>(&words);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 wide = __half22float2(pairs[i]);
    values[2 * i] = wide.x;
    values[2 * i + 1] = wide.y;
  }
}

__device__ __forceinline__ void store8(float* to, const float (&values)[kVector]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(values[0], values[1], values[2], values[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(values[4], values[5], values[6], values[7]);
}

__device__ __forceinline__ void store8(__nv_bfloat16* to, const float (&values)[kVector]) {
  __nv_bfloat162 pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(values[2 * i], values[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
}

__device__ __forceinline__ void store8(__half* to, const float (&values)[kVector]) {
  __half2 pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2half2_rn(values[2 * i], values[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
}

/// The sum of `value` over the warp, in every lane.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, step);
  return value;
}

/// The site with its key read from where the launch left it.
__device__ __forceinline__ Dropout with_keys(Dropout dropout) {
  if (dropout.keys != nullptr) {
    dropout.key0 = dropout.keys[0];
    dropout.key1 = dropout.keys[1];
  }
  return dropout;
}

/// Philox4x32-10 (core/random.h) for the four channels from `channel`, a multiple of 4.
__device__ __forceinline__ uint4 philox(const Dropout& dropout, uint32_t channel, uint32_t position, uint32_t example) {
  uint32_t c0 = channel / 4, c1 = position, c2 = example, c3 = dropout.site;
  uint32_t key0 = dropout.key0, key1 = dropout.key1;
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t a_high = __umulhi(0xD2511F53u, c0), a_low = 0xD2511F53u * c0;
    const uint32_t b_high = __umulhi(0xCD9E8D57u, c2), b_low = 0xCD9E8D57u * c2;
    c0 = b_high ^ c1 ^ key0;
    c1 = b_low;
    c2 = a_high ^ c3 ^ key1;
    c3 = a_low;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return make_uint4(c0, c1, c2, c3);
}

/// Drops or scales eight channels of one row.
__device__ __forceinline__ void drop8(const Dropout& dropout, uint32_t channel, uint32_t position, uint32_t example,
                                      float (&values)[kVector]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const uint4 words = philox(dropout, channel + 4 * half, position, example);
    const uint32_t draws[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) values[4 * half + i] *= draws[i] < dropout.threshold ? 0.0f : dropout.keep_factor;
  }
}

}  // namespace txtsum::ops::cuda
