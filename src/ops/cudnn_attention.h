#pragma once

// Attention of packed sequences by cuDNN's kernels for Hopper, on plain pointers. cuDNN plans a shape once (tens of
// milliseconds on the host); plans are kept for the process, so that a call is a launch that a graph can hold.

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace txtsum::ops::cudnn {

/// What a plan is made for. Rows are tokens; a row has its heads side by side.
struct AttentionPlan {
  int64_t slots = 0;                     ///< Sequences, empty ones among them.
  int64_t longest_q = 0, longest_k = 0;  ///< At least the longest sequence.
  int64_t tokens_q = 0;                  ///< At least the queries of all.
  int64_t heads = 0, head_width = 0;     ///< Width: a multiple of 16, 128 at most.
  int64_t q_stride = 0, k_stride = 0;    ///< Elements from row to row of q and d_q; of k, v, d_k and d_v.
  double scale = 1.0;
  bool half = false;  ///< fp16; bf16 otherwise.
  bool backward = false;
  auto operator<=>(const AttentionPlan&) const = default;
};

/// Where the sequences of a batch begin, int32 on the device, counted in elements.
struct AttentionIndices {
  const int32_t* lengths_q = nullptr;  ///< [slots], in tokens
  const int32_t* lengths_k = nullptr;
  const int32_t* q = nullptr;     ///< [slots + 1], in q
  const int32_t* k = nullptr;     ///< in k and v
  const int32_t* out = nullptr;   ///< in out and d_out, whose rows are heads * head_width wide
  const int32_t* sums = nullptr;  ///< in log_sums, whose rows are heads wide
};

struct AttentionPointers {
  AttentionIndices indices;
  const void *q = nullptr, *k = nullptr, *v = nullptr;
  void* out = nullptr;
  void* log_sums = nullptr;  ///< fp32 [tokens of q, heads]
  // Backward only; it reads out and log_sums.
  const void* d_out = nullptr;
  void *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
};

/// Begins, in a thread of its own, to plan attention forward and backward for such a shape. cuDNN compiles a kernel at
/// its first plan, for a second or so; plans of other sizes that use the same kernel are quick then.
void plan_ahead(const AttentionPlan& plan);

/// Bytes of scratch memory that a run takes; plans the shape where it has not come before. Throws std::runtime_error
/// where cuDNN has no kernel for it.
size_t attention_workspace_bytes(const AttentionPlan& plan);

/// Runs forward or backward, as the plan says, in `stream`.
void run_attention(const AttentionPlan& plan, const AttentionPointers& pointers, void* workspace, cudaStream_t stream);

}  // namespace txtsum::ops::cudnn
