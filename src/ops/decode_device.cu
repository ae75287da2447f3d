#include <algorithm>
#include <climits>
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

constexpr int kTopThreads = 1024;
constexpr int kTopWarps = kTopThreads / kWarp;

struct Choice {
  float score;
  int32_t id;
};

__device__ __forceinline__ bool better(Choice a, Choice b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

/// The best of all threads, in every thread.
__device__ __forceinline__ Choice block_best(Choice mine, Choice* shared) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Choice other{__shfl_xor_sync(0xFFFFFFFFu, mine.score, step), __shfl_xor_sync(0xFFFFFFFFu, mine.id, step)};
    if (better(other, mine)) mine = other;
  }
  __syncthreads();
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = mine;
  __syncthreads();
  mine = shared[threadIdx.x % kTopWarps];
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Choice other{__shfl_xor_sync(0xFFFFFFFFu, mine.score, step), __shfl_xor_sync(0xFFFFFFFFu, mine.id, step)};
    if (better(other, mine)) mine = other;
  }
  return mine;
}

/// This thread's best token behind `limit` in the order of better(). Ids past the vocabulary never count.
template <typename T>
__device__ __forceinline__ Choice next_best(const T* logits, int64_t vocabulary, Choice limit) {
  Choice best{-INFINITY, INT32_MAX};
  for (int64_t v = threadIdx.x * kVector; v < vocabulary; v += kTopThreads * kVector) {
    float values[kVector];
    load8(logits + v, values);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const Choice candidate{values[i], static_cast<int32_t>(v + i)};
      if (v + i < vocabulary && better(limit, candidate) && better(candidate, best)) best = candidate;
    }
  }
  return best;
}

/// A block a row.
template <typename T>
__global__ void __launch_bounds__(kTopThreads) top_tokens_kernel(TopTokens in) {
  const int64_t row = blockIdx.x;
  T* logits = static_cast<T*>(in.logits) + in.row_of[row] * in.stride;
  __shared__ float shared_largest[kTopWarps], shared_sum[kTopWarps];
  __shared__ Choice shared_choice[kTopWarps];
  float largest = -INFINITY, sum = 0.0f;
  for (int64_t v = threadIdx.x * kVector; v < in.vocabulary; v += kTopThreads * kVector) {
    float values[kVector];
    load8(logits + v, values);
    float now = largest;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      if (v + i < in.vocabulary) now = fmaxf(now, values[i]);
    }
    sum *= expf(largest - now);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      if (v + i < in.vocabulary) sum += expf(values[i] - now);
    }
    largest = now;
  }
  if (largest == -INFINITY) sum = 0.0f;  // a thread without tokens
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(0xFFFFFFFFu, largest, step);
    const float other_sum = __shfl_xor_sync(0xFFFFFFFFu, sum, step);
    const float now = fmaxf(largest, other);
    if (now != -INFINITY) sum = sum * expf(largest - now) + other_sum * expf(other - now);
    largest = now;
  }
  if (threadIdx.x % kWarp == 0) {
    shared_largest[threadIdx.x / kWarp] = largest;
    shared_sum[threadIdx.x / kWarp] = sum;
  }
  __syncthreads();
  largest = -INFINITY;
  for (int w = 0; w < kTopWarps; ++w) largest = fmaxf(largest, shared_largest[w]);
  sum = 0.0f;
  for (int w = 0; w < kTopWarps; ++w) {
    if (shared_largest[w] != -INFINITY || isnan(shared_sum[w]))
      sum += shared_sum[w] * expf(shared_largest[w] - largest);
  }
  const float log_sum = largest + logf(sum), shift = in.log_probabilities ? log_sum : 0.0f;

  const int32_t begin = row == 0 ? 0 : in.edit_ends[2 * row - 1];
  const int32_t middle = in.edit_ends[2 * row], end = in.edit_ends[2 * row + 1];
  for (int32_t e = begin + static_cast<int32_t>(threadIdx.x); e < middle; e += kTopThreads) {
    const float logit = to_float(logits[in.edits[e]]), score = logit - shift;
    in.saved[e] = logit;
    store(logits + in.edits[e], (score < 0.0f ? score * in.penalty : score / in.penalty) + shift);
  }
  __syncthreads();
  for (int32_t e = middle + static_cast<int32_t>(threadIdx.x); e < end; e += kTopThreads) {
    store(logits + in.edits[e], -INFINITY);
  }
  __syncthreads();

  Choice mine = next_best(logits, in.vocabulary, Choice{INFINITY, -1});
  for (int32_t k = 0; k < in.count; ++k) {
    const Choice best = block_best(mine, shared_choice);
    const bool is_number = best.id != INT32_MAX && !isnan(log_sum);
    if (threadIdx.x == 0) {
      in.scores[row * in.count + k] = best.score - shift;
      in.ids[row * in.count + k] = is_number ? best.id : -1;
      if (k == 0 && is_number) {
        float logit = best.score;
        for (int32_t e = begin; e < middle; ++e) {
          if (in.edits[e] == best.id) logit = in.saved[e];
        }
        in.log_probability[row] = logit - log_sum;
      }
    }
    if (mine.id == best.id && mine.id != INT32_MAX) mine = next_best(logits, in.vocabulary, best);
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

void top_tokens(const TopTokens& tokens, cudaStream_t stream) {
  if (tokens.rows == 0) return;
  if (tokens.stride % kVector != 0) throw std::runtime_error("rows of logits must start at multiples of 8 elements");
  const auto rows = static_cast<unsigned>(tokens.rows);
  with_type(tokens.type,
            [&](auto type) { top_tokens_kernel<decltype(type)><<<rows, kTopThreads, 0, stream>>>(tokens); });
  check_launch("top_tokens");
}

}  // namespace txtsum::ops::cuda
