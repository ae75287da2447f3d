#include <algorithm>
#include <stdexcept>

#include "device_launch.cuh"
#include "device_row.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kWarps = 4;
/// Channels that a warp covers in one step.
constexpr int kStep = kWarp * kVector;
/// Widest row that a warp holds in registers.
constexpr int kMostChunks = 8;

__device__ __forceinline__ int64_t warp_row() {
  return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
}

template <typename T>
__global__ void __launch_bounds__(kWarps* kWarp)
    drop_kernel(const T* x, T* out, int64_t rows, int64_t width, Dropout dropout) {
  const int64_t row = warp_row();
  if (row >= rows) return;
  const auto position = static_cast<uint32_t>(dropout.positions[row]);
  const auto example = static_cast<uint32_t>(dropout.examples[row]);
  for (int64_t channel = threadIdx.x % kWarp * kVector; channel < width; channel += kStep) {
    float values[kVector];
    load8(x + row * width + channel, values);
    drop8(dropout, static_cast<uint32_t>(channel), position, example, values);
    store8(out + row * width + channel, values);
  }
}

/// A warp a row, the row in registers.
template <typename T, int kChunks>
__global__ void __launch_bounds__(kWarps* kWarp) norm_forward_kernel(NormForward norm) {
  const int64_t row = warp_row();
  if (row >= norm.rows) return;
  const int width = static_cast<int>(norm.width);
  const int first = threadIdx.x % kWarp * kVector;
  const T* x = static_cast<const T*>(norm.x) + row * width;
  const T* residual = norm.residual != nullptr ? static_cast<const T*>(norm.residual) + row * width : nullptr;
  const bool drops = norm.dropout.threshold != 0;
  const auto position = drops ? static_cast<uint32_t>(norm.dropout.positions[row]) : 0u;
  const auto example = drops ? static_cast<uint32_t>(norm.dropout.examples[row]) : 0u;
  float values[kChunks][kVector];
  float total = 0.0f;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const int channel = first + chunk * kStep;
    if (channel >= width) continue;
    load8(x + channel, values[chunk]);
    if (drops) drop8(norm.dropout, static_cast<uint32_t>(channel), position, example, values[chunk]);
    if (residual != nullptr) {
      float others[kVector];
      load8(residual + channel, others);
#pragma unroll
      for (int i = 0; i < kVector; ++i) values[chunk][i] += others[i];
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) total += values[chunk][i];
  }
  const float mean = warp_sum(total) / static_cast<float>(width);
  float squares = 0.0f;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    if (first + chunk * kStep >= width) continue;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const float centred = values[chunk][i] - mean;
      squares += centred * centred;
    }
  }
  const float inverse = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(width) + norm.epsilon);
  T* out = static_cast<T*>(norm.out) + row * width;
  T* sum = norm.sum != nullptr ? static_cast<T*>(norm.sum) + row * width : nullptr;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const int channel = first + chunk * kStep;
    if (channel >= width) continue;
    if (sum != nullptr) store8(sum + channel, values[chunk]);
    float scale[kVector], shift[kVector];
    load8(static_cast<const T*>(norm.scale) + channel, scale);
    load8(static_cast<const T*>(norm.shift) + channel, shift);
#pragma unroll
    for (int i = 0; i < kVector; ++i) values[chunk][i] = (values[chunk][i] - mean) * inverse * scale[i] + shift[i];
    store8(out + channel, values[chunk]);
  }
  if (norm.mean != nullptr && first == 0) {
    norm.mean[row] = mean;
    norm.inverse[row] = inverse;
  }
}

/// A warp a row, rows dealt out to the warps of a grid that fills the device; each warp adds up scale's and shift's
/// gradients of its rows in registers, each block those of its warps.
template <typename T, int kChunks>
__global__ void __launch_bounds__(kWarps* kWarp) norm_backward_kernel(NormBackward norm) {
  const int width = static_cast<int>(norm.width);
  const int first = threadIdx.x % kWarp * kVector, warp = threadIdx.x / kWarp;
  const bool drops = norm.d_x != nullptr;
  float d_scale[kChunks][kVector] = {}, d_shift[kChunks][kVector] = {};
  for (int64_t row = warp_row(); row < norm.rows; row += static_cast<int64_t>(gridDim.x) * kWarps) {
    const T* d_out = static_cast<const T*>(norm.d_out) + row * width;
    const T* sum = static_cast<const T*>(norm.sum) + row * width;
    const float mean = norm.mean[row], inverse = norm.inverse[row];
    float scaled[kChunks][kVector], normed[kChunks][kVector];  // d_out * scale, and the normalized row
    float total = 0.0f, product = 0.0f;
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int channel = first + chunk * kStep;
      if (channel >= width) continue;
      float scale[kVector];
      load8(d_out + channel, scaled[chunk]);
      load8(sum + channel, normed[chunk]);
      load8(static_cast<const T*>(norm.scale) + channel, scale);
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        const float d = scaled[chunk][i];
        normed[chunk][i] = (normed[chunk][i] - mean) * inverse;
        d_scale[chunk][i] += d * normed[chunk][i];
        d_shift[chunk][i] += d;
        scaled[chunk][i] = d * scale[i];
        total += scaled[chunk][i];
        product += scaled[chunk][i] * normed[chunk][i];
      }
    }
    total = warp_sum(total) / static_cast<float>(width);
    product = warp_sum(product) / static_cast<float>(width);
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int channel = first + chunk * kStep;
      if (channel >= width) continue;
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        scaled[chunk][i] = (scaled[chunk][i] - total - normed[chunk][i] * product) * inverse;
      }
      store8(static_cast<T*>(norm.d_sum) + row * width + channel, scaled[chunk]);
      if (!drops) continue;
      drop8(norm.dropout, static_cast<uint32_t>(channel), static_cast<uint32_t>(norm.dropout.positions[row]),
            static_cast<uint32_t>(norm.dropout.examples[row]), scaled[chunk]);
      store8(static_cast<T*>(norm.d_x) + row * width + channel, scaled[chunk]);
    }
  }
  __shared__ float sums[kWarps][kStep];
  float* partial = norm.partials + static_cast<int64_t>(blockIdx.x) * 2 * width;
#pragma unroll
  for (int which = 0; which < 2; ++which) {
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      __syncthreads();
      store8(&sums[warp][first], which == 0 ? d_scale[chunk] : d_shift[chunk]);
      __syncthreads();
      for (int i = threadIdx.x; i < kStep && i + chunk * kStep < width; i += kWarps * kWarp) {
        float sum = 0.0f;
        for (int w = 0; w < kWarps; ++w) sum += sums[w][i];
        partial[which * width + chunk * kStep + i] = sum;
      }
    }
  }
}

template <typename T, typename Launch>
void with_chunks(int64_t width, const Launch& launch) {
  if (width % kVector != 0 || width > kMostChunks * kStep) {
    throw std::runtime_error("on a GPU the model's width must be a multiple of 8 and at most 2048, found " +
                             std::to_string(width));
  }
  const int64_t chunks = (width + kStep - 1) / kStep;
  if (chunks == 1) return launch(T{}, std::integral_constant<int, 1>());
  if (chunks == 2) return launch(T{}, std::integral_constant<int, 2>());
  if (chunks == 3) return launch(T{}, std::integral_constant<int, 3>());
  if (chunks == 4) return launch(T{}, std::integral_constant<int, 4>());
  return launch(T{}, std::integral_constant<int, kMostChunks>());
}

template <typename Launch>
void with_type(Type type, int64_t width, const Launch& launch) {
  if (type == Type::kFloat) return with_chunks<float>(width, launch);
  with_chunks<__nv_bfloat16>(width, launch);
}

dim3 row_grid(int64_t rows) { return dim3(static_cast<unsigned>((rows + kWarps - 1) / kWarps)); }

}  // namespace

void drop_rows(Type type, const void* x, void* out, int64_t rows, int64_t width, const Dropout& dropout,
               cudaStream_t stream) {
  if (rows == 0) return;
  if (width % kVector != 0) throw std::runtime_error("on a GPU widths must be multiples of 8");
  if (type == Type::kFloat) {
    drop_kernel<<<row_grid(rows), kWarps * kWarp, 0, stream>>>(static_cast<const float*>(x), static_cast<float*>(out),
                                                               rows, width, dropout);
  } else {
    drop_kernel<<<row_grid(rows), kWarps * kWarp, 0, stream>>>(static_cast<const __nv_bfloat16*>(x),
                                                               static_cast<__nv_bfloat16*>(out), rows, width, dropout);
  }
  check_launch("drop_rows");
}

void norm_forward(const NormForward& norm, cudaStream_t stream) {
  if (norm.rows == 0) return;
  with_type(norm.type, norm.width, [&](auto type, auto chunks) {
    norm_forward_kernel<decltype(type), chunks()><<<row_grid(norm.rows), kWarps * kWarp, 0, stream>>>(norm);
  });
  check_launch("norm_forward");
}

int64_t norm_backward_blocks(int64_t rows) {
  return std::clamp<int64_t>((rows + kWarps - 1) / kWarps, 1, 2 * multiprocessors());
}

void norm_backward(const NormBackward& norm, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(norm_backward_blocks(norm.rows)));
  with_type(norm.type, norm.width, [&](auto type, auto chunks) {
    norm_backward_kernel<decltype(type), chunks()><<<grid, kWarps * kWarp, 0, stream>>>(norm);
  });
  check_launch("norm_backward");
}

}  // namespace txtsum::ops::cuda
