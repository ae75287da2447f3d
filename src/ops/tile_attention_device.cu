// Launches of attention by tiles. Shared memory of a block for heads of 64 (128): forward 40 KiB (80 KiB), gradients of
// queries 48.5 KiB (96.5 KiB), of keys 49 KiB (97 KiB); a bias takes 1 KiB, in the gradients of queries 17.3 KiB and
// its range.

#include <stdexcept>
#include <string>
#include <type_traits>

#include "device_launch.cuh"
#include "tile_backward.cuh"
#include "tile_forward.cuh"

namespace txtsum::ops::cuda {
namespace {

// Turing has neither these copies nor these products: its kernels are empty and never launched (tile_attention_serves).
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool kHasProducts = false;
#else
constexpr bool kHasProducts = true;
#endif

extern __shared__ __align__(128) unsigned char tile_memory[];

template <typename T, int K, bool kBias>
__global__ void __launch_bounds__(kTileThreads) forward_kernel(TileAttention in) {
  if constexpr (kHasProducts) tile_forward<T, K, kBias>(in, tile_memory);
}

template <typename T, int K, bool kBias>
__global__ void __launch_bounds__(kTileThreads) backward_queries_kernel(TileAttentionBackward in) {
  if constexpr (kHasProducts) tile_backward_queries<T, K, kBias>(in, tile_memory);
}

template <typename T, int K, bool kBias>
__global__ void __launch_bounds__(kTileThreads) backward_keys_kernel(TileAttentionBackward in) {
  if constexpr (kHasProducts) tile_backward_keys<T, K, kBias>(in, tile_memory);
}

constexpr int kSumColumns = 32, kSumSlices = 32;

/// d_bias = the sums over all tiles of all sequences of their partials. A slice takes every 32nd tile.
__global__ void __launch_bounds__(kSumColumns* kSumSlices) sum_partials_kernel(TileAttentionBackward in, int tiles) {
  __shared__ float slices[kSumSlices][kSumColumns + 1];
  const int width = 2 * in.forward.bias_range + 1;
  const int column = static_cast<int>(blockIdx.x) * kSumColumns + static_cast<int>(threadIdx.x);
  const int64_t step = in.forward.heads * width, head = blockIdx.y;
  float sum = 0.0f;
  for (int64_t b = 0; column < width && b < in.forward.sequences; ++b) {
    const int length = in.forward.offsets[b + 1] - in.forward.offsets[b];
    for (int tile = static_cast<int>(threadIdx.y); tile < (length + kTile - 1) / kTile; tile += kSumSlices) {
      sum += in.bias_partials[(b * tiles + tile) * step + head * width + column];
    }
  }
  slices[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= width) return;
  for (int slice = 1; slice < kSumSlices; ++slice) sum += slices[slice][threadIdx.x];
  in.d_bias[head * width + column] = sum;
}

template <typename Arguments>
void launch(void (*kernel)(Arguments), const Arguments& args, const TileAttention& shape, int bytes, const char* name,
            cudaStream_t stream) {
  if (bytes > 48 * 1024 &&
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) != cudaSuccess) {
    cudaGetLastError();
    throw std::runtime_error("attention by tiles with heads of " + std::to_string(shape.head_width) + " wants " +
                             std::to_string(bytes) + " bytes of shared memory a block, more than this GPU has");
  }
  const dim3 grid(static_cast<unsigned>(shape.heads), static_cast<unsigned>(shape.sequences),
                  static_cast<unsigned>(tile_count(shape.longest)));
  kernel<<<grid, kTileThreads, static_cast<size_t>(bytes), stream>>>(args);
  check_launch(name);
}

/// Calls `run` with a value of the type, the width of heads and whether there is a bias.
template <typename Run>
void with_kernel(const TileAttention& in, const Run& run) {
  const auto with_bias = [&](auto type, auto width) {
    if (in.bias != nullptr) return run(type, width, std::true_type{});
    return run(type, width, std::false_type{});
  };
  const auto with_width = [&](auto type) {
    if (in.head_width == 64) return with_bias(type, std::integral_constant<int, 64>{});
    if (in.head_width == 128) return with_bias(type, std::integral_constant<int, 128>{});
    throw std::runtime_error("attention by tiles wants heads of 64 or 128, found " + std::to_string(in.head_width));
  };
  if (in.type == Type::kBFloat16) return with_width(__nv_bfloat16{});
  if (in.type == Type::kHalf) return with_width(__half{});
  throw std::runtime_error("attention by tiles wants bf16 or fp16");
}

}  // namespace

void tile_attention(const TileAttention& attention, cudaStream_t stream) {
  with_kernel(attention, [&](auto type, auto width, auto bias) {
    constexpr int K = decltype(width)::value;
    constexpr bool kBias = decltype(bias)::value;
    launch(forward_kernel<decltype(type), K, kBias>, attention, attention,
           kForwardBytes<K> + (kBias ? kForwardBiasBytes : 0), "tile_attention", stream);
  });
}

void tile_attention_backward(const TileAttentionBackward& backward, cudaStream_t stream) {
  const TileAttention& shape = backward.forward;
  with_kernel(shape, [&](auto type, auto width, auto bias) {
    using T = decltype(type);
    constexpr int K = decltype(width)::value;
    constexpr bool kBias = decltype(bias)::value;
    const int gradient_bytes = kBias ? kBiasBytes + bias_gradient_bytes(shape.bias_range) : 0;
    launch(backward_queries_kernel<T, K, kBias>, backward, shape, kQueryBytes<K> + gradient_bytes,
           "tile_attention_backward of queries", stream);
    launch(backward_keys_kernel<T, K, kBias>, backward, shape, kKeyBytes<K> + (kBias ? kBiasBytes : 0),
           "tile_attention_backward of keys", stream);
  });
  if (shape.bias == nullptr) return;
  const dim3 grid(static_cast<unsigned>((2 * shape.bias_range + kSumColumns) / kSumColumns),
                  static_cast<unsigned>(shape.heads));
  sum_partials_kernel<<<grid, dim3(kSumColumns, kSumSlices), 0, stream>>>(backward,
                                                                          static_cast<int>(tile_count(shape.longest)));
  check_launch("sum_partials");
}

}  // namespace txtsum::ops::cuda
