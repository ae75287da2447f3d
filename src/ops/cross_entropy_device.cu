#include <cmath>

#include "device_launch.cuh"
#include "device_row.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;

struct Running {
  float largest, sum;  // sum of exp(logit - largest)
};

__device__ __forceinline__ Running merged(Running a, Running b) {
  const float largest = fmaxf(a.largest, b.largest);
  if (largest == -INFINITY) return {largest, 0.0f};
  return {largest, a.sum * expf(a.largest - largest) + b.sum * expf(b.largest - largest)};
}

/// exp of the softmax: exact for fp32 logits, the hardware's for narrower ones, whose own rounding is coarser.
template <typename T>
__device__ __forceinline__ float exponential(float value) {
  if constexpr (sizeof(T) == sizeof(float)) return expf(value);
  return __expf(value);
}

/// Eight logits from `v`, bias added, -infinity behind the vocabulary.
template <typename T>
__device__ __forceinline__ void load_logits(const CrossEntropyRows& in, const T* logits, int64_t v,
                                            float (&values)[kVector]) {
  load8(logits + v, values);
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    if (v + i >= in.vocabulary) {
      values[i] = -INFINITY;
    } else if (in.bias != nullptr) {
      values[i] += in.bias[v + i];
    }
  }
}

/// A block a row. The row is read twice, the second time from the cache.
template <typename T>
__global__ void __launch_bounds__(kThreads) cross_entropy_kernel(CrossEntropyRows in) {
  const int64_t row = blockIdx.x;
  T* logits = static_cast<T*>(in.logits) + row * in.stride;
  const int64_t label = in.labels[row];
  float values[kVector];
  if (label < 0) {
    if (threadIdx.x == 0) in.loss[row] = in.nll[row] = 0.0f;
    if (!in.with_gradient) return;
#pragma unroll
    for (int i = 0; i < kVector; ++i) values[i] = 0.0f;
    for (int64_t v = threadIdx.x * kVector; v < in.stride; v += kThreads * kVector) store8(logits + v, values);
    return;
  }
  Running running{-INFINITY, 0.0f};
  float total = 0.0f;
  for (int64_t v = threadIdx.x * kVector; v < in.vocabulary; v += kThreads * kVector) {
    load_logits(in, logits, v, values);
    float largest = running.largest;
#pragma unroll
    for (int i = 0; i < kVector; ++i) largest = fmaxf(largest, values[i]);
    running.sum *= exponential<T>(running.largest - largest);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      running.sum += exponential<T>(values[i] - largest);
      if (v + i < in.vocabulary) total += values[i];
    }
    running.largest = largest;
  }
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Running other{__shfl_xor_sync(0xFFFFFFFFu, running.largest, step),
                        __shfl_xor_sync(0xFFFFFFFFu, running.sum, step)};
    running = merged(running, other);
  }
  total = warp_sum(total);
  __shared__ Running shared_running[kWarps];
  __shared__ float shared_total[kWarps];
  __shared__ float label_logit;
  if (threadIdx.x % kWarp == 0) {
    shared_running[threadIdx.x / kWarp] = running;
    shared_total[threadIdx.x / kWarp] = total;
  }
  const int64_t label_start = label / kVector * kVector;
  if (threadIdx.x == 0) {
    load_logits(in, logits, label_start, values);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      if (label_start + i == label) label_logit = values[i];
    }
  }
  __syncthreads();
  running = shared_running[0];
  total = shared_total[0];
  for (int warp = 1; warp < kWarps; ++warp) {
    running = merged(running, shared_running[warp]);
    total += shared_total[warp];
  }
  // The largest of numbers and NaN is a number; the sum of all tells.
  const float log_sum = isnan(total) ? total : running.largest + logf(running.sum);
  if (threadIdx.x == 0) {
    const float nll = log_sum - label_logit;
    in.nll[row] = nll;
    in.loss[row] = (1.0f - in.smoothing) * nll + in.smoothing * (log_sum - total / static_cast<float>(in.vocabulary));
  }
  if (!in.with_gradient) return;
  const float uniform = in.smoothing / static_cast<float>(in.vocabulary);
  const float factor = in.gradient_factor != nullptr ? *in.gradient_factor : 1.0f;
  for (int64_t v = threadIdx.x * kVector; v < in.stride; v += kThreads * kVector) {
    load_logits(in, logits, v, values);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      values[i] = v + i < in.vocabulary ? exponential<T>(values[i] - log_sum) - uniform : 0.0f;
      if (v + i == label) values[i] -= 1.0f - in.smoothing;
      values[i] *= factor;
    }
    store8(logits + v, values);
  }
}

}  // namespace

void cross_entropy_rows(const CrossEntropyRows& rows, cudaStream_t stream) {
  if (rows.rows == 0) return;
  with_type(rows.type, [&](auto type) {
    cross_entropy_kernel<decltype(type)><<<static_cast<unsigned>(rows.rows), kThreads, 0, stream>>>(rows);
  });
  check_launch("cross_entropy_rows");
}

}  // namespace txtsum::ops::cuda
