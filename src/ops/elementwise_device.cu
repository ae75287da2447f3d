#include <stdexcept>

#include "device_launch.cuh"
#include "device_row.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr float kRootHalf = 0.70710678118654752f;
constexpr float kInverseRootTwoPi = 0.39894228040143268f;
constexpr float kTanhFactor = 0.79788456080286536f;  // sqrt(2 / pi)
constexpr float kTanhCubic = 0.044715f;

template <Function kFunction>
__device__ __forceinline__ float value_of(float x) {
  if constexpr (kFunction == Function::kGelu) return 0.5f * x * (1.0f + erff(x * kRootHalf));
  if constexpr (kFunction == Function::kGeluTanh) {
    return 0.5f * x * (1.0f + tanhf(kTanhFactor * (x + kTanhCubic * x * x * x)));
  }
  if constexpr (kFunction == Function::kRelu) return x < 0.0f ? 0.0f : x;  // NaN stays
  if constexpr (kFunction == Function::kSilu) return x / (1.0f + expf(-x));
  return tanhf(x);
}

template <Function kFunction>
__device__ __forceinline__ float slope_of(float x) {
  if constexpr (kFunction == Function::kGelu) {
    return 0.5f * (1.0f + erff(x * kRootHalf)) + x * kInverseRootTwoPi * expf(-0.5f * x * x);
  }
  if constexpr (kFunction == Function::kGeluTanh) {
    const float t = tanhf(kTanhFactor * (x + kTanhCubic * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kTanhFactor * (1.0f + 3.0f * kTanhCubic * x * x);
  }
  if constexpr (kFunction == Function::kRelu) return x > 0.0f ? 1.0f : 0.0f;
  if constexpr (kFunction == Function::kSilu) {
    const float s = 1.0f / (1.0f + expf(-x));
    return s * (1.0f + x * (1.0f - s));
  }
  const float t = tanhf(x);
  return 1.0f - t * t;
}

/// Eight elements a thread. Without d_out: the value; with it: the gradient.
template <typename T, Function kFunction, bool kBackward>
__global__ void __launch_bounds__(kThreads)
    activate_kernel(const T* d_out, const T* x, T* out, int64_t rows, int64_t width, Dropout dropout) {
  const int64_t start = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (start >= rows * width) return;
  const int64_t row = start / width;
  float values[kVector], results[kVector];
  load8(x + start, values);
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    results[i] = kBackward ? slope_of<kFunction>(values[i]) : value_of<kFunction>(values[i]);
  }
  if constexpr (kBackward) {
    float gradients[kVector];
    load8(d_out + start, gradients);
#pragma unroll
    for (int i = 0; i < kVector; ++i) results[i] *= gradients[i];
  }
  if (dropout.threshold != 0) {
    drop8(dropout, static_cast<uint32_t>(start - row * width), static_cast<uint32_t>(dropout.positions[row]),
          static_cast<uint32_t>(dropout.examples[row]), results);
  }
  store8(out + start, results);
}

template <typename T, bool kBackward>
void launch(Function function, const void* d_out, const void* x, void* out, int64_t rows, int64_t width,
            const Dropout& dropout, cudaStream_t stream) {
  if (rows == 0) return;
  if (width % kVector != 0) throw std::runtime_error("on a GPU widths must be multiples of 8");
  const auto blocks = static_cast<unsigned>((rows * width + kThreads * kVector - 1) / (kThreads * kVector));
  const auto run = [&](auto kernel) {
    kernel<<<blocks, kThreads, 0, stream>>>(static_cast<const T*>(d_out), static_cast<const T*>(x),
                                            static_cast<T*>(out), rows, width, dropout);
  };
  switch (function) {
    case Function::kGelu:
      run(activate_kernel<T, Function::kGelu, kBackward>);
      break;
    case Function::kGeluTanh:
      run(activate_kernel<T, Function::kGeluTanh, kBackward>);
      break;
    case Function::kRelu:
      run(activate_kernel<T, Function::kRelu, kBackward>);
      break;
    case Function::kSilu:
      run(activate_kernel<T, Function::kSilu, kBackward>);
      break;
    case Function::kTanh:
      run(activate_kernel<T, Function::kTanh, kBackward>);
      break;
  }
  check_launch("activate");
}

/// A warp a row.
template <typename T>
__global__ void __launch_bounds__(kThreads) embed_kernel(Embed embed) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row >= embed.rows) return;
  const T* token = static_cast<const T*>(embed.table) + embed.ids[row] * embed.width;
  const T* place = static_cast<const T*>(embed.positions) + (embed.places[row] + embed.offset) * embed.width;
  T* out = static_cast<T*>(embed.out) + row * embed.width;
  for (int64_t channel = threadIdx.x % kWarp * kVector; channel < embed.width; channel += kWarp * kVector) {
    float values[kVector], others[kVector];
    load8(token + channel, values);
    load8(place + channel, others);
#pragma unroll
    for (int i = 0; i < kVector; ++i) values[i] = values[i] * embed.scale + others[i];
    store8(out + channel, values);
  }
}

/// A block for each place where a new id starts; it adds up the id's rows.
template <typename G, typename T>
__global__ void __launch_bounds__(kThreads) add_rows_kernel(AddRows in) {
  const int64_t begin = blockIdx.x;
  const int64_t id = in.ids[begin];
  if (begin > 0 && in.ids[begin - 1] == id) return;
  int64_t end = begin + 1;
  while (end < in.rows && in.ids[end] == id) ++end;
  for (int64_t channel = threadIdx.x * kVector; channel < in.width; channel += kThreads * kVector) {
    float sum[kVector] = {};
    for (int64_t i = begin; i < end; ++i) {
      float values[kVector];
      load8(static_cast<const T*>(in.d_out) + in.order[i] * in.width + channel, values);
#pragma unroll
      for (int j = 0; j < kVector; ++j) sum[j] += values[j];
    }
    G* gradient = static_cast<G*>(in.gradient) + id * in.width + channel;
    float values[kVector];
    load8(gradient, values);
#pragma unroll
    for (int j = 0; j < kVector; ++j) values[j] += in.factor * sum[j];
    store8(gradient, values);
  }
}

}  // namespace

void activate(Type type, Function function, const void* x, void* out, int64_t rows, int64_t width,
              const Dropout& dropout, cudaStream_t stream) {
  if (type == Type::kFloat) return launch<float, false>(function, nullptr, x, out, rows, width, dropout, stream);
  launch<__nv_bfloat16, false>(function, nullptr, x, out, rows, width, dropout, stream);
}

void activate_backward(Type type, Function function, const void* d_out, const void* x, void* d_x, int64_t rows,
                       int64_t width, const Dropout& dropout, cudaStream_t stream) {
  if (type == Type::kFloat) return launch<float, true>(function, d_out, x, d_x, rows, width, dropout, stream);
  launch<__nv_bfloat16, true>(function, d_out, x, d_x, rows, width, dropout, stream);
}

void add_rows(const AddRows& rows, cudaStream_t stream) {
  if (rows.rows == 0) return;
  if (rows.width % kVector != 0) throw std::runtime_error("on a GPU widths must be multiples of 8");
  const auto launch_with = [&](auto kernel) {
    kernel<<<static_cast<unsigned>(rows.rows), kThreads, 0, stream>>>(rows);
  };
  const bool wide = rows.gradient_type == Type::kFloat;
  if (rows.type == Type::kFloat) {
    wide ? launch_with(add_rows_kernel<float, float>) : launch_with(add_rows_kernel<__nv_bfloat16, float>);
  } else {
    wide ? launch_with(add_rows_kernel<float, __nv_bfloat16>)
         : launch_with(add_rows_kernel<__nv_bfloat16, __nv_bfloat16>);
  }
  check_launch("add_rows");
}

void embed_rows(const Embed& embed, cudaStream_t stream) {
  if (embed.rows == 0) return;
  if (embed.width % kVector != 0) throw std::runtime_error("on a GPU widths must be multiples of 8");
  const int64_t warps = kThreads / kWarp;
  const auto blocks = static_cast<unsigned>((embed.rows + warps - 1) / warps);
  if (embed.type == Type::kFloat) {
    embed_kernel<float><<<blocks, kThreads, 0, stream>>>(embed);
  } else {
    embed_kernel<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(embed);
  }
  check_launch("embed_rows");
}

}  // namespace txtsum::ops::cuda
