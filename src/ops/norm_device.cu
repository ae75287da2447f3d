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
/// Threads of a block of the backward pass, about.
constexpr int kBackwardThreads = 512;

__device__ __forceinline__ int64_t warp_row() {
  return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
}

template <typename T>
__global__ void __launch_bounds__(kWarps* kWarp)
    drop_kernel(const T* x, T* out, int64_t rows, int64_t width, Dropout site) {
  const int64_t row = warp_row();
  if (row >= rows) return;
  const Dropout dropout = with_keys(site);
  const auto position = static_cast<uint32_t>(dropout.positions[row]);
  const auto example = static_cast<uint32_t>(dropout.examples[row]);
  for (int64_t channel = threadIdx.x % kWarp * kVector; channel < width; channel += kStep) {
    float values[kVector];
    load8(x + row * width + channel, values);
    drop8(dropout, static_cast<uint32_t>(channel), position, example, values);
    store8(out + row * width + channel, values);
  }
}

/// A warp a row, the row in registers. S: type of residual and sum.
template <typename T, typename S, int kChunks>
__global__ void __launch_bounds__(kWarps* kWarp) norm_forward_kernel(NormForward norm) {
  const int64_t row = warp_row();
  if (row >= norm.rows) return;
  const int width = static_cast<int>(norm.width);
  const int first = threadIdx.x % kWarp * kVector;
  const TableRows& tables = norm.tables;
  const int64_t x_row = tables.ids != nullptr ? tables.ids[row] : row;
  const int64_t residual_row = tables.places != nullptr ? tables.places[row] + tables.offset : row;
  const T* x = norm.x != nullptr ? static_cast<const T*>(norm.x) + x_row * width : nullptr;
  const S* residual = norm.residual != nullptr ? static_cast<const S*>(norm.residual) + residual_row * width : nullptr;
  const bool drops = norm.dropout.threshold != 0;
  const Dropout dropout = with_keys(norm.dropout);
  const auto position = drops ? static_cast<uint32_t>(norm.dropout.positions[row]) : 0u;
  const auto example = drops ? static_cast<uint32_t>(norm.dropout.examples[row]) : 0u;
  float values[kChunks][kVector];
  float total = 0.0f;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const int channel = first + chunk * kStep;
    if (channel >= width) continue;
    if (x != nullptr) {
      load8(x + channel, values[chunk]);
#pragma unroll
      for (int i = 0; i < kVector; ++i) values[chunk][i] *= tables.factor;
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) values[chunk][i] = 0.0f;
    }
    if (norm.bias != nullptr) {
      float bias[kVector];
      load8(static_cast<const T*>(norm.bias) + channel, bias);
#pragma unroll
      for (int i = 0; i < kVector; ++i) values[chunk][i] += bias[i];
    }
    if (drops) drop8(dropout, static_cast<uint32_t>(channel), position, example, values[chunk]);
    if (residual != nullptr) {
      float others[kVector];
      load8(residual + channel, others);
#pragma unroll
      for (int i = 0; i < kVector; ++i) values[chunk][i] += others[i];
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) total += values[chunk][i];
  }
  S* sum = norm.sum != nullptr ? static_cast<S*>(norm.sum) + row * width : nullptr;
  const bool drops_last = norm.last_dropout.threshold != 0;
  const Dropout last_dropout = with_keys(norm.last_dropout);
  const auto drop_last = [&](int channel, float(&row_values)[kVector]) {
    if (!drops_last) return;
    drop8(last_dropout, static_cast<uint32_t>(channel), static_cast<uint32_t>(last_dropout.positions[row]),
          static_cast<uint32_t>(last_dropout.examples[row]), row_values);
  };
  if (norm.scale == nullptr) {
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int channel = first + chunk * kStep;
      if (channel >= width) continue;
      drop_last(channel, values[chunk]);
      store8(sum + channel, values[chunk]);
    }
    return;
  }
  const float mean = norm.shift != nullptr ? warp_sum(total) / static_cast<float>(width) : 0.0f;
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
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const int channel = first + chunk * kStep;
    if (channel >= width) continue;
    if (sum != nullptr) store8(sum + channel, values[chunk]);
    float scale[kVector], shift[kVector] = {};
    load8(static_cast<const T*>(norm.scale) + channel, scale);
    if (norm.shift != nullptr) load8(static_cast<const T*>(norm.shift) + channel, shift);
#pragma unroll
    for (int i = 0; i < kVector; ++i) values[chunk][i] = (values[chunk][i] - mean) * inverse * scale[i] + shift[i];
    drop_last(channel, values[chunk]);
    store8(out + channel, values[chunk]);
  }
  if (norm.mean != nullptr && first == 0) {
    norm.mean[row] = mean;
    norm.inverse[row] = inverse;
  }
}

/// A group of width / 8 threads a row, several groups a block, rows dealt out to a grid that fills the device. Each
/// thread adds up the gradients of scale, shift and bias of its eight channels over all rows of its group.
template <typename T, typename S>
__global__ void __launch_bounds__(kBackwardThreads, 2) norm_backward_kernel(NormBackward norm, int group_threads) {
  const int width = static_cast<int>(norm.width);
  const int groups = blockDim.x / group_threads, group = threadIdx.x / group_threads;
  const int channel = threadIdx.x % group_threads * kVector;
  const int warps = group_threads / kWarp, warp = threadIdx.x % group_threads / kWarp;
  const bool inside = channel < width, drops = norm.dropout.threshold != 0, through_norm = norm.d_out != nullptr;
  const Dropout dropout = with_keys(norm.dropout);
  // Two sets, so that one barrier a row is enough.
  __shared__ float2 shared[2][kBackwardThreads / kWarp];
  float scale[kVector] = {}, d_scale[kVector] = {}, d_shift[kVector] = {}, d_bias[kVector] = {};
  if (inside && through_norm) load8(static_cast<const T*>(norm.scale) + channel, scale);
  int which = 0;
  // All groups of a block go round equally often: they meet at the barrier.
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * groups; first < norm.rows;
       first += static_cast<int64_t>(gridDim.x) * groups, which ^= 1) {
    const int64_t row = first + group;
    const bool works = inside && row < norm.rows;
    float scaled[kVector] = {}, normed[kVector] = {};  // d_out * scale, and the normalized row
    float total = 0.0f, product = 0.0f, inverse = 0.0f;
    if (works && through_norm) {
      load8(static_cast<const T*>(norm.d_out) + row * width + channel, scaled);
      load8(static_cast<const S*>(norm.sum) + row * width + channel, normed);
      const float mean = norm.mean[row];
      inverse = norm.inverse[row];
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        const float d = scaled[i];
        normed[i] = (normed[i] - mean) * inverse;
        d_scale[i] += d * normed[i];
        d_shift[i] += d;
        scaled[i] = d * scale[i];
        total += scaled[i];
        product += scaled[i] * normed[i];
      }
    }
    total = warp_sum(total);
    product = warp_sum(product);
    if (threadIdx.x % kWarp == 0) shared[which][group * warps + warp] = make_float2(total, product);
    __syncthreads();
    total = product = 0.0f;
    for (int w = 0; w < warps; ++w) {
      total += shared[which][group * warps + w].x;
      product += shared[which][group * warps + w].y;
    }
    if (!works) continue;
    total = norm.centred ? total / static_cast<float>(width) : 0.0f;
    product /= static_cast<float>(width);
#pragma unroll
    for (int i = 0; i < kVector; ++i) scaled[i] = (scaled[i] - total - normed[i] * product) * inverse;
    if (norm.d_stream != nullptr) {
      float above[kVector];
      load8(static_cast<const S*>(norm.d_stream) + row * width + channel, above);
#pragma unroll
      for (int i = 0; i < kVector; ++i) scaled[i] += above[i];
    }
    store8(static_cast<S*>(norm.d_sum) + row * width + channel, scaled);
    if (drops) {
      drop8(dropout, static_cast<uint32_t>(channel), static_cast<uint32_t>(dropout.positions[row]),
            static_cast<uint32_t>(dropout.examples[row]), scaled);
    }
    if (norm.d_x != nullptr) store8(static_cast<T*>(norm.d_x) + row * width + channel, scaled);
#pragma unroll
    for (int i = 0; i < kVector; ++i) d_bias[i] += scaled[i];
  }
  // The groups' sums, one after the other, so that the order is fixed.
  extern __shared__ float block_sums[];  // [3, width]
  for (int turn = 0; turn < groups; ++turn) {
    __syncthreads();
    if (group != turn || !inside) continue;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      float* at = block_sums + channel + i;
      at[0] = (turn == 0 ? 0.0f : at[0]) + d_scale[i];
      at[width] = (turn == 0 ? 0.0f : at[width]) + d_shift[i];
      at[2 * width] = (turn == 0 ? 0.0f : at[2 * width]) + d_bias[i];
    }
  }
  __syncthreads();
  float* partial = norm.partials + static_cast<int64_t>(blockIdx.x) * 3 * width;
  for (int i = threadIdx.x; i < 3 * width; i += blockDim.x) partial[i] = block_sums[i];
}

/// Threads of a row: whole warps.
int group_threads(int64_t width) { return static_cast<int>((width / kVector + kWarp - 1) / kWarp) * kWarp; }

int groups_in_block(int64_t width) { return std::max(1, kBackwardThreads / group_threads(width)); }

void check_width(int64_t width) {
  if (width % kVector == 0 && width <= kMostChunks * kStep) return;
  throw std::runtime_error("on a GPU the model's width must be a multiple of 8 and at most 2048, found " +
                           std::to_string(width));
}

template <typename Launch>
void with_chunks(int64_t width, const Launch& launch) {
  check_width(width);
  const int64_t chunks = (width + kStep - 1) / kStep;
  if (chunks == 1) return launch(std::integral_constant<int, 1>());
  if (chunks == 2) return launch(std::integral_constant<int, 2>());
  if (chunks == 3) return launch(std::integral_constant<int, 3>());
  if (chunks == 4) return launch(std::integral_constant<int, 4>());
  return launch(std::integral_constant<int, kMostChunks>());
}

dim3 row_grid(int64_t rows) { return dim3(static_cast<unsigned>((rows + kWarps - 1) / kWarps)); }

}  // namespace

void drop_rows(Type type, const void* x, void* out, int64_t rows, int64_t width, const Dropout& dropout,
               cudaStream_t stream) {
  if (rows == 0) return;
  if (width % kVector != 0) throw std::runtime_error("on a GPU widths must be multiples of 8");
  with_type(type, [&](auto value) {
    using T = decltype(value);
    drop_kernel<<<row_grid(rows), kWarps * kWarp, 0, stream>>>(static_cast<const T*>(x), static_cast<T*>(out), rows,
                                                               width, dropout);
  });
  check_launch("drop_rows");
}

void norm_forward(const NormForward& norm, cudaStream_t stream) {
  if (norm.rows == 0) return;
  with_type(norm.type, [&](auto type) {
    with_chunks(norm.width, [&](auto chunks) {
      using T = decltype(type);
      const auto kernel = norm.wide ? norm_forward_kernel<T, float, chunks()> : norm_forward_kernel<T, T, chunks()>;
      kernel<<<row_grid(norm.rows), kWarps * kWarp, 0, stream>>>(norm);
    });
  });
  check_launch("norm_forward");
}

int64_t norm_backward_blocks(int64_t rows) { return summing_blocks(rows); }

void norm_backward(const NormBackward& norm, cudaStream_t stream) {
  check_width(norm.width);
  const int threads = group_threads(norm.width);
  const auto blocks = static_cast<unsigned>(norm_backward_blocks(norm.rows));
  const auto block_threads = static_cast<unsigned>(groups_in_block(norm.width) * threads);
  const size_t shared_bytes = static_cast<size_t>(3 * norm.width) * sizeof(float);
  with_type(norm.type, [&](auto type) {
    using T = decltype(type);
    const auto kernel = norm.wide ? norm_backward_kernel<T, float> : norm_backward_kernel<T, T>;
    kernel<<<blocks, block_threads, shared_bytes, stream>>>(norm, threads);
  });
  check_launch("norm_backward");
}

}  // namespace txtsum::ops::cuda
