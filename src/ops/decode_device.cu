#include <algorithm>
#include <stdexcept>
#include <string>

#include "decode_kernels.h"
#include "device_launch.cuh"
#include "device_row.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kCrossThreads = 128;
/// Rows of a slot that a block serves with each key that it reads.
constexpr int kCrossRows = 8;

__device__ __forceinline__ float dot8(const float (&a)[kVector], const float (&b)[kVector]) {
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kVector; ++i) sum += a[i] * b[i];
  return sum;
}

/// The sum over the lanes of a group; `lanes` is a power of two.
__device__ __forceinline__ float group_sum(float value, int lanes) {
  for (int step = lanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, step);
  return value;
}

/// A softmax average that is not divided yet.
struct Average {
  float largest = -INFINITY, sum = 0.0f;
  float values[kVector] = {};

  __device__ __forceinline__ void add(float score, const float (&value)[kVector]) {
    const float now = fmaxf(largest, score), old_factor = expf(largest - now), weight = expf(score - now);
    sum = sum * old_factor + weight;
#pragma unroll
    for (int i = 0; i < kVector; ++i) values[i] = values[i] * old_factor + weight * value[i];
    largest = now;
  }

  /// Joins the averages of lanes `step` apart.
  __device__ __forceinline__ void join(int step) {
    const float other_largest = __shfl_xor_sync(0xFFFFFFFFu, largest, step);
    const float other_sum = __shfl_xor_sync(0xFFFFFFFFu, sum, step);
    const float now = fmaxf(largest, other_largest);
    const float mine = largest == -INFINITY ? 0.0f : expf(largest - now);
    const float theirs = other_largest == -INFINITY ? 0.0f : expf(other_largest - now);
    sum = sum * mine + other_sum * theirs;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      values[i] = values[i] * mine + __shfl_xor_sync(0xFFFFFFFFu, values[i], step) * theirs;
    }
    largest = now;
  }
};

/// A warp a head of a row. A group of head_width / 8 lanes reads one position at a time.
template <typename T>
__global__ void decode_self_kernel(DecodeSelf in) {
  const int64_t row = blockIdx.x, head = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
  if (head >= in.heads) return;
  const int lanes = static_cast<int>(in.head_width) / kVector, lane = threadIdx.x % lanes;
  const int groups = kWarp / lanes, group = threadIdx.x / lanes;
  const int64_t width = in.heads * in.head_width, channel = head * in.head_width + lane * kVector;
  const T* qkv = static_cast<const T*>(in.qkv) + row * 3 * width + channel;
  T* cache = static_cast<T*>(in.cache);
  const int length = in.lengths[row];
  const float* bias = in.bias != nullptr ? in.bias + head * in.capacity : nullptr;
  float query[kVector], key[kVector], value[kVector];
  load8(qkv, query);
  Average average;
  for (int first = 0; first < length; first += groups) {
    const int position = first + group;
    const bool inside = position < length;
    float score = 0.0f;
    const T* place = nullptr;
    if (inside) {
      place = cache + (in.origins[row * in.capacity + position] * in.capacity + position) * 2 * width + channel;
      load8(place, key);
      load8(place + width, value);
      score = dot8(query, key);
    }
    score = group_sum(score, lanes) * in.scale;
    if (inside) average.add(bias != nullptr ? score + bias[length - position] : score, value);
  }
  // The new token: every group reads it, the first counts it, and one of them keeps it.
  load8(qkv + width, key);
  load8(qkv + 2 * width, value);
  const float own = group_sum(dot8(query, key), lanes) * in.scale + (bias != nullptr ? bias[0] : 0.0f);
  if (group == 0) {
    average.add(own, value);
    T* place = cache + (row * in.capacity + length) * 2 * width + channel;
    store8(place, key);
    store8(place + width, value);
  }
  for (int step = lanes; step < kWarp; step *= 2) average.join(step);
  if (group != 0) return;
#pragma unroll
  for (int i = 0; i < kVector; ++i) average.values[i] /= average.sum;
  store8(static_cast<T*>(in.out) + row * width + channel, average.values);
}

/// A block a head of a slot: scores of all rows in shared memory, then their average of the values.
template <typename T>
__global__ void __launch_bounds__(kCrossThreads) decode_cross_kernel(DecodeCross in) {
  extern __shared__ float scores[];  // [kCrossRows, length]
  __shared__ float reduced[kCrossRows][kCrossThreads / kWarp];
  const int64_t slot = blockIdx.x, head = blockIdx.y;
  const int first_row = static_cast<int>(blockIdx.z) * kCrossRows;
  const int rows = min(kCrossRows, static_cast<int>(in.beams) - first_row);
  const int lanes = static_cast<int>(in.head_width) / kVector, lane = threadIdx.x % lanes;
  const int groups = kCrossThreads / lanes, group = threadIdx.x / lanes;
  const int64_t width = in.heads * in.head_width, channel = head * in.head_width + lane * kVector;
  const int length = in.lengths[slot];
  const T* keys = static_cast<const T*>(in.cache) + slot * in.capacity * 2 * width + channel;
  const int64_t base = (slot * in.beams + first_row) * width + channel;
  float query[kCrossRows][kVector] = {};
#pragma unroll
  for (int r = 0; r < kCrossRows; ++r) {
    if (r < rows) load8(static_cast<const T*>(in.q) + base + r * width, query[r]);
  }
  for (int first = 0; first < length; first += groups) {
    const int position = first + group;
    float key[kVector] = {};
    if (position < length) load8(keys + position * 2 * width, key);
#pragma unroll
    for (int r = 0; r < kCrossRows; ++r) {
      if (r >= rows) continue;
      const float score = group_sum(dot8(query[r], key), lanes) * in.scale;
      if (lane == 0 && position < length) scores[r * length + position] = score;
    }
  }
  __syncthreads();
  // Softmax: a warp takes the rows in turn.
  float totals[kCrossRows];
  const int warp = threadIdx.x / kWarp, in_warp = threadIdx.x % kWarp;
  for (int r = warp; r < rows; r += kCrossThreads / kWarp) {
    float largest = -INFINITY, total = 0.0f;
    for (int t = in_warp; t < length; t += kWarp) largest = fmaxf(largest, scores[r * length + t]);
    for (int step = kWarp / 2; step > 0; step /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, step));
    }
    for (int t = in_warp; t < length; t += kWarp) {
      const float weight = expf(scores[r * length + t] - largest);
      scores[r * length + t] = weight;
      total += weight;
    }
    total = warp_sum(total);
    if (in_warp == 0) reduced[r][0] = total;
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < kCrossRows; ++r) totals[r] = r < rows ? reduced[r][0] : 1.0f;
  float sums[kCrossRows][kVector] = {};
  for (int position = group; position < length; position += groups) {
    float value[kVector];
    load8(keys + position * 2 * width + width, value);
#pragma unroll
    for (int r = 0; r < kCrossRows; ++r) {
      if (r >= rows) continue;
      const float weight = scores[r * length + position];
#pragma unroll
      for (int i = 0; i < kVector; ++i) sums[r][i] += weight * value[i];
    }
  }
  __syncthreads();
  // The groups' sums, in the memory that held the scores: [groups, head_width] for one row after the other.
  for (int r = 0; r < rows; ++r) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      float value = 0.0f;
#pragma unroll
      for (int candidate = 0; candidate < kCrossRows; ++candidate) {
        if (candidate == r) value = sums[candidate][i];
      }
      scores[group * in.head_width + lane * kVector + i] = value;
    }
    __syncthreads();
    if (threadIdx.x < in.head_width) {
      float sum = 0.0f, total = 1.0f;
      for (int g = 0; g < groups; ++g) sum += scores[g * in.head_width + threadIdx.x];
#pragma unroll
      for (int candidate = 0; candidate < kCrossRows; ++candidate) {
        if (candidate == r) total = totals[candidate];
      }
      T* out = static_cast<T*>(in.out) + (slot * in.beams + first_row + r) * width + head * in.head_width;
      store(out + threadIdx.x, length > 0 ? sum / total : 0.0f);
    }
    __syncthreads();
  }
}

void check_heads(int64_t head_width) {
  const bool power = head_width >= kVector && head_width <= kWarp * kVector && (head_width & (head_width - 1)) == 0;
  if (power) return;
  throw std::runtime_error("decoding on a GPU wants heads of 8, 16, 32, 64, 128 or 256 channels, found " +
                           std::to_string(head_width));
}

template <typename Kernel>
void allow_shared_memory(Kernel kernel, size_t bytes, const char* what) {
  if (cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)) !=
      cudaSuccess) {
    cudaGetLastError();
    throw std::runtime_error(std::string(what) + " wants " + std::to_string(bytes) +
                             " bytes of shared memory a block, more than this GPU has");
  }
}

template <typename T>
void launch_cross(const DecodeCross& attention, cudaStream_t stream) {
  const auto heads = static_cast<size_t>(attention.head_width);
  const size_t groups = kCrossThreads / (heads / kVector);
  const size_t bytes =
      std::max(static_cast<size_t>(kCrossRows) * static_cast<size_t>(attention.capacity), groups * heads) *
      sizeof(float);
  if (bytes > 48 * 1024) allow_shared_memory(decode_cross_kernel<T>, bytes, "attention to so long a source");
  const dim3 grid(static_cast<unsigned>(attention.slots), static_cast<unsigned>(attention.heads),
                  static_cast<unsigned>((attention.beams + kCrossRows - 1) / kCrossRows));
  decode_cross_kernel<T><<<grid, kCrossThreads, bytes, stream>>>(attention);
}

}  // namespace

void decode_self(const DecodeSelf& attention, cudaStream_t stream) {
  check_heads(attention.head_width);
  const auto heads = static_cast<unsigned>(std::min<int64_t>(attention.heads, 4));
  const dim3 grid(static_cast<unsigned>(attention.rows), static_cast<unsigned>((attention.heads + heads - 1) / heads));
  const dim3 threads(kWarp, heads);
  with_type(attention.type,
            [&](auto type) { decode_self_kernel<decltype(type)><<<grid, threads, 0, stream>>>(attention); });
  check_launch("decode_self");
}

void decode_cross(const DecodeCross& attention, cudaStream_t stream) {
  check_heads(attention.head_width);
  with_type(attention.type, [&](auto type) { launch_cross<decltype(type)>(attention, stream); });
  check_launch("decode_cross");
}

}  // namespace txtsum::ops::cuda
