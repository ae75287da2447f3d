#include <algorithm>
#include <stdexcept>
#include <string>

#include "decode_kernels.h"
#include "device_launch.cuh"
#include "device_row.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kCrossThreads = 128;
/// Rows of a slot that a block serves with each key that it reads, at most.
constexpr int kCrossRows = 8, kFewRows = 4;

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

/// Softmax weights of the scores of each row, in place, by one warp a row; `extremes` takes largest score and sum of
/// weights.
__device__ __forceinline__ void weigh(float* scores, int length, int rows, float2* extremes) {
  const int lane = threadIdx.x % kWarp;
  for (int r = threadIdx.x / kWarp; r < rows; r += kCrossThreads / kWarp) {
    float largest = -INFINITY, total = 0.0f;
    for (int t = lane; t < length; t += kWarp) largest = fmaxf(largest, scores[r * length + t]);
    for (int step = kWarp / 2; step > 0; step /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, step));
    }
    for (int t = lane; t < length; t += kWarp) {
      const float weight = expf(scores[r * length + t] - largest);
      scores[r * length + t] = weight;
      total += weight;
    }
    total = warp_sum(total);
    if (lane == 0) extremes[r] = make_float2(largest, total);
  }
}

/// A block a head of a slot and a part of its keys: scores of up to kRows rows in shared memory, then their average of
/// the values. Where there are several parts, what it finds goes to in.partials.
template <typename T, int kRows>
__global__ void __launch_bounds__(kCrossThreads) decode_cross_kernel(DecodeCross in) {
  extern __shared__ float scores[];  // [kRows, length]
  __shared__ float2 extremes[kRows];
  const int64_t slot = blockIdx.x, head = blockIdx.y;
  const int parts = static_cast<int>(in.parts), part = static_cast<int>(blockIdx.z) % parts;
  const int first_row = static_cast<int>(blockIdx.z) / parts * kRows;
  const int rows = min(kRows, static_cast<int>(in.beams) - first_row);
  const int lanes = static_cast<int>(in.head_width) / kVector, lane = threadIdx.x % lanes;
  const int groups = kCrossThreads / lanes, group = threadIdx.x / lanes;
  const int64_t width = in.heads * in.head_width, channel = head * in.head_width + lane * kVector;
  const int begin = part * static_cast<int>(kCrossPart);
  const int length = max(0, min(in.lengths[slot] - begin, static_cast<int>(kCrossPart)));
  const T* keys = static_cast<const T*>(in.cache) + (slot * in.capacity + begin) * 2 * width + channel;
  const int64_t base = (slot * in.beams + first_row) * width + channel;
  float query[kRows][kVector] = {};
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (r < rows) load8(static_cast<const T*>(in.q) + base + r * width, query[r]);
  }
#pragma unroll 2
  for (int first = 0; first < length; first += groups) {
    const int position = first + group;
    float key[kVector] = {};
    if (position < length) load8(keys + position * 2 * width, key);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r >= rows) continue;
      const float score = group_sum(dot8(query[r], key), lanes) * in.scale;
      if (lane == 0 && position < length) scores[r * length + position] = score;
    }
  }
  __syncthreads();
  weigh(scores, length, rows, extremes);
  __syncthreads();
  float sums[kRows][kVector] = {};
#pragma unroll 2
  for (int position = group; position < length; position += groups) {
    float value[kVector];
    load8(keys + position * 2 * width + width, value);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r >= rows) continue;
      const float weight = scores[r * length + position];
#pragma unroll
      for (int i = 0; i < kVector; ++i) sums[r][i] += weight * value[i];
    }
  }
  __syncthreads();
  // The groups' sums, in the memory that held the scores: [groups, head_width] for one row after the other.
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (r >= rows) continue;
#pragma unroll
    for (int i = 0; i < kVector; ++i) scores[group * in.head_width + lane * kVector + i] = sums[r][i];
    __syncthreads();
    const int64_t row = slot * in.beams + first_row + r;
    if (threadIdx.x < in.head_width) {
      float sum = 0.0f;
      for (int g = 0; g < groups; ++g) sum += scores[g * in.head_width + threadIdx.x];
      if (parts == 1) {
        T* out = static_cast<T*>(in.out) + row * width + head * in.head_width;
        store(out + threadIdx.x, length > 0 ? sum / extremes[r].y : 0.0f);
      } else {
        float* partial = in.partials + ((row * in.heads + head) * parts + part) * (in.head_width + 2);
        partial[threadIdx.x] = sum;
        if (threadIdx.x < 2) partial[in.head_width + threadIdx.x] = threadIdx.x == 0 ? extremes[r].x : extremes[r].y;
      }
    }
    __syncthreads();
  }
}

/// A block a head of a row: joins what decode_cross_kernel found in the parts of its keys.
template <typename T>
__global__ void join_parts_kernel(DecodeCross in) {
  const int64_t row = blockIdx.x, head = blockIdx.y, stride = in.head_width + 2;
  const int parts = static_cast<int>(in.parts);
  const float* partial = in.partials + (row * in.heads + head) * parts * stride;
  float largest = -INFINITY, total = 0.0f, sum = 0.0f;
  for (int part = 0; part < parts; ++part) largest = fmaxf(largest, partial[part * stride + in.head_width]);
  for (int part = 0; part < parts; ++part) {
    const float part_largest = partial[part * stride + in.head_width];
    if (part_largest == -INFINITY) continue;  // no keys
    const float factor = expf(part_largest - largest);
    total += factor * partial[part * stride + in.head_width + 1];
    sum += factor * partial[part * stride + threadIdx.x];
  }
  T* out = static_cast<T*>(in.out) + (row * in.heads + head) * in.head_width;
  store(out + threadIdx.x, in.lengths[row / in.beams] > 0 ? sum / total : 0.0f);
}

void check_heads(int64_t head_width) {
  const bool power = head_width >= kVector && head_width <= kWarp * kVector && (head_width & (head_width - 1)) == 0;
  if (power) return;
  throw std::runtime_error("decoding on a GPU wants heads of 8, 16, 32, 64, 128 or 256 channels, found " +
                           std::to_string(head_width));
}

template <typename T, int kRows>
void launch_cross(const DecodeCross& attention, cudaStream_t stream) {
  const auto heads = static_cast<size_t>(attention.head_width);
  const auto keys = static_cast<size_t>(std::min(attention.capacity, kCrossPart));
  const size_t groups = kCrossThreads / (heads / kVector);
  const size_t bytes = std::max(static_cast<size_t>(kRows) * keys, groups * heads) * sizeof(float);
  const dim3 grid(static_cast<unsigned>(attention.slots), static_cast<unsigned>(attention.heads),
                  static_cast<unsigned>((attention.beams + kRows - 1) / kRows * attention.parts));
  decode_cross_kernel<T, kRows><<<grid, kCrossThreads, bytes, stream>>>(attention);
  if (attention.parts == 1) return;
  const dim3 rows(static_cast<unsigned>(attention.slots * attention.beams), static_cast<unsigned>(attention.heads));
  join_parts_kernel<T><<<rows, static_cast<unsigned>(attention.head_width), 0, stream>>>(attention);
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
  with_type(attention.type, [&](auto type) {
    using T = decltype(type);
    if (attention.beams <= kFewRows) return launch_cross<T, kFewRows>(attention, stream);
    launch_cross<T, kCrossRows>(attention, stream);
  });
  check_launch("decode_cross");
}

}  // namespace txtsum::ops::cuda
