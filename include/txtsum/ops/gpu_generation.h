#pragma once

namespace txtsum::ops {

// What a GPU's generation, the major number of its compute capability, has kernels for. The operations choose by it,
// and `txtsum info` prints it.

/// FlashAttention-2, in bf16 and fp16, and the tile kernels (biases by distance, blocks, LED's band).
constexpr bool has_flash_attention(int major) { return major >= 8; }

/// cuDNN's attention on packed tokens.
constexpr bool has_cudnn_attention(int major) { return major >= 9; }

}  // namespace txtsum::ops
