#include <algorithm>

#include "device_launch.cuh"
#include "device_row.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kThreads = 256;
/// Elements whose squares make one partial sum of the norm.
constexpr int64_t kNormChunk = 65536;

/// The span that holds `element`; spans cover the range without holes.
__device__ __forceinline__ const Span& span_of(const Span* spans, int32_t count, int64_t element) {
  int32_t low = 0, high = count - 1;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (spans[middle].end <= element) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return spans[low];
}

__device__ __forceinline__ float adamw_element(float master, float gradient, float& first, float& second, bool decays,
                                               const AdamWNumbers& n) {
  gradient *= n.gradient_factor;
  first = first + n.one_minus_beta1 * (gradient - first);
  second = n.beta2 * second + n.one_minus_beta2 * (gradient * gradient);
  return master * (decays ? n.decay_factor : 1.0f) -
         n.step_size * (first / (sqrtf(second) * n.inverse_root + n.epsilon));
}

/// Eight neighbouring elements a thread, one by one where a span ends among them.
template <typename G, typename W>
__global__ void __launch_bounds__(kThreads) adamw_kernel(AdamW update) {
  if (update.factors != nullptr) {
    const UpdateFactors factors = *update.factors;
    if (isnan(factors.gradient_factor)) return;
    update.numbers.gradient_factor = factors.gradient_factor;
    update.numbers.step_size = factors.step_size;
    update.numbers.inverse_root = factors.inverse_root;
  }
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads * kVector;
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector; i < update.numel;
       i += stride) {
    const Span span = span_of(update.spans, update.span_count, i);
    if (i + kVector > span.end) {
      for (int64_t at = i; at < i + kVector && at < update.numel; ++at) {
        const Span own = span_of(update.spans, update.span_count, at);
        if (own.frozen) continue;
        const float gradient = to_float(static_cast<const G*>(update.gradients)[at]);
        const float master = adamw_element(update.masters[at], gradient, update.first[at], update.second[at],
                                           own.decay != 0, update.numbers);
        update.masters[at] = master;
        if (update.working != nullptr) store(static_cast<W*>(update.working) + at, master);
      }
      continue;
    }
    if (span.frozen) continue;
    float master[kVector], gradient[kVector], first[kVector], second[kVector];
    load8(update.masters + i, master);
    load8(static_cast<const G*>(update.gradients) + i, gradient);
    load8(update.first + i, first);
    load8(update.second + i, second);
#pragma unroll
    for (int j = 0; j < kVector; ++j) {
      master[j] = adamw_element(master[j], gradient[j], first[j], second[j], span.decay != 0, update.numbers);
    }
    store8(update.masters + i, master);
    store8(update.first + i, first);
    store8(update.second + i, second);
    if (update.working != nullptr) store8(static_cast<W*>(update.working) + i, master);
  }
}

/// The sum over the block, in thread 0, in an order that depends on nothing.
__device__ __forceinline__ double block_sum(double sum) {
  __shared__ double shared[kThreads];
  shared[threadIdx.x] = sum;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) shared[threadIdx.x] += shared[threadIdx.x + step];
    __syncthreads();
  }
  return shared[0];
}

template <typename G>
__global__ void __launch_bounds__(kThreads)
    square_sum_kernel(const G* gradients, int64_t numel, const Span* spans, int32_t span_count, double* sums) {
  const int64_t begin = blockIdx.x * kNormChunk, end = min(begin + kNormChunk, numel);
  double sum = 0.0;
  for (int64_t i = begin + threadIdx.x * kVector; i < end; i += kThreads * kVector) {
    const Span span = span_of(spans, span_count, i);
    if (i + kVector <= span.end) {
      if (span.frozen) continue;
      float values[kVector];
      load8(gradients + i, values);
      double wide = 0.0;
#pragma unroll
      for (int j = 0; j < kVector; ++j) wide += static_cast<double>(values[j]) * values[j];
      sum += wide;
    } else {
      for (int j = 0; j < kVector && i + j < end; ++j) {
        const float value = to_float(gradients[i + j]);
        if (!span_of(spans, span_count, i + j).frozen) sum += static_cast<double>(value) * value;
      }
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__device__ __forceinline__ LossScale next_loss_scale(LossScale now, bool good) {
  if (!good) return {0.5f * now.scale, 0, now.left_out + 1};
  if (now.good_updates + 1 == kLossScaleGrowthUpdates) return {2.0f * now.scale, 0, now.left_out};
  return {now.scale, now.good_updates + 1, now.left_out};
}

/// One block.
__global__ void __launch_bounds__(kThreads) finish_norm_kernel(FinishNorm in) {
  double sum = 0.0;
  __shared__ int bad_chunk;
  if (threadIdx.x == 0) bad_chunk = -1;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < in.chunks; i += kThreads) {
    sum += in.square_sums[i];
    if (!isfinite(in.square_sums[i])) atomicMax(&bad_chunk, static_cast<int>(i));
  }
  sum = block_sum(sum);
  if (threadIdx.x != 0) return;
  UpdateResults results;
  results.bad_chunk = bad_chunk;
  results.loss = in.loss_sums[0] * in.per_token;
  results.nll = in.loss_sums[1] * in.per_token;
  UpdateFactors factors{0.0f, in.numbers.step_size, in.numbers.inverse_root};
  double factor = in.per_token;
  if (in.loss_scale != nullptr) {
    results.loss_scale = in.loss_scale->scale;
    factor = 1.0 / results.loss_scale;
    // Updates that were left out are no steps of the optimizer's.
    const auto steps = static_cast<double>(in.update - in.loss_scale->left_out);
    factors.step_size = static_cast<float>(in.learning_rate / (1.0 - pow(in.beta1, steps)));
    factors.inverse_root = static_cast<float>(1.0 / sqrt(1.0 - pow(in.beta2, steps)));
  }
  results.gradient_norm = sqrt(sum) * factor;
  const bool good = isfinite(results.loss) && isfinite(results.gradient_norm);
  if (in.clip_norm > 0.0) factor *= fmin(1.0, in.clip_norm / (results.gradient_norm + in.clip_epsilon));
  factors.gradient_factor = good ? static_cast<float>(factor) : nanf("");
  if (in.loss_scale != nullptr) {
    *in.loss_scale = next_loss_scale(*in.loss_scale, good);
    results.after = *in.loss_scale;
  }
  *in.results = results;
  *in.factors = factors;
}

}  // namespace

void adamw(const AdamW& update, cudaStream_t stream) {
  if (update.numel == 0) return;
  const int64_t blocks = std::min<int64_t>((update.numel + kThreads * kVector - 1) / (kThreads * kVector),
                                           int64_t{16} * multiprocessors());
  with_type(update.gradient_type, [&](auto gradient) {
    using G = decltype(gradient);
    if (update.working_type == Type::kHalf) {
      adamw_kernel<G, __half><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(update);
    } else {
      adamw_kernel<G, __nv_bfloat16><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(update);
    }
  });
  check_launch("adamw");
}

int64_t square_sum_chunk() { return kNormChunk; }

void square_sums(Type type, const void* gradients, int64_t numel, const Span* spans, int32_t span_count, double* sums,
                 cudaStream_t stream) {
  if (numel == 0) return;
  const auto blocks = static_cast<unsigned>((numel + kNormChunk - 1) / kNormChunk);
  with_type(type, [&](auto value) {
    square_sum_kernel<<<blocks, kThreads, 0, stream>>>(static_cast<const decltype(value)*>(gradients), numel, spans,
                                                       span_count, sums);
  });
  check_launch("square_sums");
}

void finish_norm(const FinishNorm& numbers, cudaStream_t stream) {
  finish_norm_kernel<<<1, kThreads, 0, stream>>>(numbers);
  check_launch("finish_norm");
}

}  // namespace txtsum::ops::cuda
