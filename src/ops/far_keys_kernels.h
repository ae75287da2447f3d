#pragma once

// The CUDA kernels of global keys that lie outside a query's window, on plain pointers (see device_kernels.h).

#include "device_kernels.h"

namespace txtsum::ops::cuda {

struct FarKeys {
  Type type = Type::kBFloat16;
  int64_t tokens = 0, globals = 0, heads = 0, head_width = 0;
  int64_t window = 0;  ///< A key at most so many rows away is near.
  float scale = 1.0f;
  const int32_t* sequence_of_token = nullptr;           ///< [tokens]
  const int32_t* global_offsets = nullptr;              ///< [sequences + 1]: a sequence's stretch of `rows`.
  const int64_t* rows = nullptr;                        ///< [globals]
  const void *q = nullptr, *k = nullptr, *v = nullptr;  ///< Rows of heads * head_width elements ...
  int64_t stride = 0;                                   ///< ... so many elements apart.
  void* out = nullptr;                                  ///< [tokens, heads * head_width]
  float* log_sums = nullptr;                            ///< [heads, tokens]
};
/// Widens each row's softmax, given as its result and the log of its sum, by the far keys of its sequence.
void merge_far_keys(const FarKeys& keys, cudaStream_t stream);

struct FarKeysBackward {
  FarKeys forward;                                      ///< `out` and `log_sums` are read.
  const int32_t* offsets = nullptr;                     ///< [sequences + 1]
  const int32_t* sequence_of_global = nullptr;          ///< [globals]
  int64_t longest = 0;                                  ///< At least the tokens of the longest sequence.
  const void* d_out = nullptr;                          ///< [tokens, heads * head_width], like the three that follow.
  void *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;  ///< Added to.
  float* deltas = nullptr;                              ///< [tokens, heads]; scratch.
  float* partials = nullptr;  ///< [globals, far_key_pieces(longest, globals), 2, heads * head_width]; scratch.
};
/// Sums are made in a fixed order.
void far_keys_backward(const FarKeysBackward& backward, cudaStream_t stream);

/// Pieces that a sequence's queries are cut into while the gradients of a global key are summed.
int64_t far_key_pieces(int64_t longest, int64_t globals);

}  // namespace txtsum::ops::cuda
