#include <algorithm>
#include <stdexcept>

#include "device_function.cuh"
#include "device_launch.cuh"
#include "device_row.cuh"

namespace txtsum::ops::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__device__ __forceinline__ void add_bias(const void* bias, int64_t channel, float (&values)[kVector]) {
  if (bias == nullptr) return;
  float added[kVector];
  load8(static_cast<const T*>(bias) + channel, added);
#pragma unroll
  for (int i = 0; i < kVector; ++i) values[i] += added[i];
}

/// Eight elements a thread.
template <typename T, Function kFunction>
__global__ void __launch_bounds__(kThreads) activate_kernel(Activate in) {
  const int64_t start = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (start >= in.rows * in.width) return;
  const int64_t row = start / in.width, channel = start - row * in.width;
  float values[kVector];
  load8(static_cast<const T*>(in.x) + start, values);
  add_bias<T>(in.bias, channel, values);
#pragma unroll
  for (int i = 0; i < kVector; ++i) values[i] = value_of<T, kFunction>(values[i]);
  if (in.dropout.threshold != 0) {
    drop8(with_keys(in.dropout), static_cast<uint32_t>(channel), static_cast<uint32_t>(in.dropout.positions[row]),
          static_cast<uint32_t>(in.dropout.examples[row]), values);
  }
  store8(static_cast<T*>(in.out) + start, values);
}

/// Eight columns a thread over the rows of its block (blockIdx.y).
template <typename T, Function kFunction>
__global__ void __launch_bounds__(kThreads) activate_backward_kernel(ActivateBackward in) {
  const Activate& forward = in.forward;
  const int64_t channel = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (channel >= forward.width) return;
  const Dropout dropout = with_keys(forward.dropout);
  float sums[kVector] = {}, bias[kVector] = {};
  add_bias<T>(forward.bias, channel, bias);
#pragma unroll 2
  for (int64_t row = blockIdx.y; row < forward.rows; row += gridDim.y) {
    const int64_t start = row * forward.width + channel;
    float values[kVector], gradients[kVector];
    load8(static_cast<const T*>(forward.x) + start, values);
    load8(static_cast<const T*>(in.d_out) + start, gradients);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const float x = values[i] + bias[i];
      gradients[i] *= slope_of<T, kFunction>(x);
      values[i] = value_of<T, kFunction>(x);
    }
    if (dropout.threshold != 0) {
      const auto position = static_cast<uint32_t>(dropout.positions[row]);
      const auto example = static_cast<uint32_t>(dropout.examples[row]);
      drop8(dropout, static_cast<uint32_t>(channel), position, example, gradients);
      if (in.activated != nullptr) drop8(dropout, static_cast<uint32_t>(channel), position, example, values);
    }
    store8(static_cast<T*>(forward.out) + start, gradients);
    if (in.activated != nullptr) store8(static_cast<T*>(in.activated) + start, values);
#pragma unroll
    for (int i = 0; i < kVector; ++i) sums[i] += gradients[i];
  }
  if (in.partials != nullptr) store8(in.partials + blockIdx.y * forward.width + channel, sums);
}

template <typename T>
void launch_forward(const Activate& forward, cudaStream_t stream) {
  const int64_t elements = forward.rows * forward.width;
  const auto blocks = static_cast<unsigned>((elements + kThreads * kVector - 1) / (kThreads * kVector));
  with_function(forward.function,
                [&](auto function) { activate_kernel<T, function()><<<blocks, kThreads, 0, stream>>>(forward); });
}

dim3 column_grid(int64_t rows, int64_t width) {
  return dim3(static_cast<unsigned>((width + kThreads * kVector - 1) / (kThreads * kVector)),
              static_cast<unsigned>(column_blocks(rows)));
}

template <typename T>
void launch_backward(const ActivateBackward& backward, cudaStream_t stream) {
  const dim3 grid = column_grid(backward.forward.rows, backward.forward.width);
  with_function(backward.forward.function, [&](auto function) {
    activate_backward_kernel<T, function()><<<grid, kThreads, 0, stream>>>(backward);
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    column_sums_kernel(const T* x, int64_t rows, int64_t width, float* partials) {
  const int64_t channel = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (channel >= width) return;
  float sums[kVector] = {};
#pragma unroll 4
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    float values[kVector];
    load8(x + row * width + channel, values);
#pragma unroll
    for (int i = 0; i < kVector; ++i) sums[i] += values[i];
  }
  store8(partials + blockIdx.y * width + channel, sums);
}

constexpr int kPartialRows = 16;

/// A warp of columns, sixteen rows of threads that split the blocks.
template <typename G>
__global__ void __launch_bounds__(kWarp* kPartialRows) add_partials_kernel(AddPartials in) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  G* gradient = static_cast<G*>(in.gradients[blockIdx.y]);
  if (gradient == nullptr) return;
  float sum = 0.0f;
  if (column < in.width) {
#pragma unroll 4
    for (int64_t block = threadIdx.y; block < in.blocks; block += kPartialRows) {
      sum += in.partials[(block * in.vectors + blockIdx.y) * in.width + column];
    }
  }
  __shared__ float sums[kPartialRows][kWarp];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= in.width) return;
  for (int row = 1; row < kPartialRows; ++row) sum += sums[row][threadIdx.x];
  store(gradient + column, to_float(gradient[column]) + sum);
}

/// A block for each place where a new id starts; it adds up the id's rows.
template <typename G, typename T>
__global__ void __launch_bounds__(kThreads) add_rows_kernel(AddRows in) {
  const int64_t begin = blockIdx.x;
  const int32_t id = in.ids[begin];
  if (begin > 0 && in.ids[begin - 1] == id) return;
  int64_t end = begin + 1;
  while (end < in.rows && in.ids[end] == id) ++end;
  for (int64_t channel = threadIdx.x * kVector; channel < in.width; channel += kThreads * kVector) {
    float sum[kVector] = {};
    // Frequent ids have hundreds of rows: eight are on their way at a time.
#pragma unroll 8
    for (int64_t i = begin; i < end; ++i) {
      float values[kVector];
      load8(static_cast<const T*>(in.d_out) + in.order[i] * in.width + channel, values);
#pragma unroll
      for (int j = 0; j < kVector; ++j) sum[j] += values[j];
    }
    G* gradient = static_cast<G*>(in.gradient) + static_cast<int64_t>(id) * in.width + channel;
    float values[kVector];
    load8(gradient, values);
#pragma unroll
    for (int j = 0; j < kVector; ++j) values[j] += in.factor * sum[j];
    store8(gradient, values);
  }
}

/// A block a position; it adds up the rows of all sequences that reach it.
template <typename G, typename T>
__global__ void __launch_bounds__(kThreads) add_position_rows_kernel(AddPositionRows in) {
  const int64_t position = blockIdx.x;
  for (int64_t channel = threadIdx.x * kVector; channel < in.width; channel += kThreads * kVector) {
    float sum[kVector] = {};
    bool any = false;
#pragma unroll 4
    for (int64_t b = 0; b < in.sequences; ++b) {
      const int64_t row = in.offsets[b] + position;
      if (row >= in.offsets[b + 1]) continue;
      any = true;
      float values[kVector];
      load8(static_cast<const T*>(in.d_out) + row * in.width + channel, values);
#pragma unroll
      for (int j = 0; j < kVector; ++j) sum[j] += values[j];
    }
    if (!any) return;
    G* gradient = static_cast<G*>(in.gradient) + (position + in.offset) * in.width + channel;
    float values[kVector];
    load8(gradient, values);
#pragma unroll
    for (int j = 0; j < kVector; ++j) values[j] += sum[j];
    store8(gradient, values);
  }
}

void check_width(int64_t width) {
  if (width % kVector != 0) throw std::runtime_error("on a GPU widths must be multiples of 8");
}

/// Calls `launch` with the two types. Gradients are fp32 or of the activations' type.
template <typename Launch>
void with_types(Type gradient_type, Type type, const Launch& launch) {
  if (gradient_type != Type::kFloat && gradient_type != type) throw std::runtime_error("gradients of a third type");
  with_type(type, [&](auto value) { gradient_type == Type::kFloat ? launch(float{}, value) : launch(value, value); });
}

}  // namespace

void activate(const Activate& forward, cudaStream_t stream) {
  if (forward.rows == 0) return;
  check_width(forward.width);
  with_type(forward.type, [&](auto type) { launch_forward<decltype(type)>(forward, stream); });
  check_launch("activate");
}

void activate_backward(const ActivateBackward& backward, cudaStream_t stream) {
  check_width(backward.forward.width);
  with_type(backward.forward.type, [&](auto type) { launch_backward<decltype(type)>(backward, stream); });
  check_launch("activate_backward");
}

int64_t column_blocks(int64_t rows) { return summing_blocks(rows); }

void column_sums(Type type, const void* x, int64_t rows, int64_t width, float* partials, cudaStream_t stream) {
  check_width(width);
  const dim3 grid = column_grid(rows, width);
  with_type(type, [&](auto value) {
    column_sums_kernel<<<grid, kThreads, 0, stream>>>(static_cast<const decltype(value)*>(x), rows, width, partials);
  });
  check_launch("column_sums");
}

void add_partials(const AddPartials& sums, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((sums.width + kWarp - 1) / kWarp), static_cast<unsigned>(sums.vectors));
  const dim3 threads(kWarp, kPartialRows);
  with_type(sums.gradient_type,
            [&](auto type) { add_partials_kernel<decltype(type)><<<grid, threads, 0, stream>>>(sums); });
  check_launch("add_partials");
}

void add_rows(const AddRows& rows, cudaStream_t stream) {
  if (rows.rows == 0) return;
  check_width(rows.width);
  with_types(rows.gradient_type, rows.type, [&](auto gradient, auto value) {
    add_rows_kernel<decltype(gradient), decltype(value)>
        <<<static_cast<unsigned>(rows.rows), kThreads, 0, stream>>>(rows);
  });
  check_launch("add_rows");
}

void add_position_rows(const AddPositionRows& rows, cudaStream_t stream) {
  if (rows.longest == 0) return;
  check_width(rows.width);
  with_types(rows.gradient_type, rows.type, [&](auto gradient, auto value) {
    add_position_rows_kernel<decltype(gradient), decltype(value)>
        <<<static_cast<unsigned>(rows.longest), kThreads, 0, stream>>>(rows);
  });
  check_launch("add_position_rows");
}

}  // namespace txtsum::ops::cuda
