#include "txtsum/ops/tile_attention.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "txtsum/core/check.h"
#include "txtsum/ops/device.h"
#include "txtsum/ops/gpu_generation.h"

#ifdef TXTSUM_WITH_CUDA
#include "device_args.h"
#include "tile_kernels.h"
#endif

namespace txtsum::ops {

#ifdef TXTSUM_WITH_CUDA

namespace {

cuda::TileLists lists_of(const BlockLists& lists) {
  TXTSUM_CHECK(lists.entries_on_device.defined(), "the plan is not on the GPU");
  return {lists.firsts_on_device.const_data_ptr<int32_t>(), lists.starts_on_device.const_data_ptr<int32_t>(),
          static_cast<const uint16_t*>(lists.entries_on_device.const_data_ptr()), lists.per_head};
}

cuda::TileAttention arguments(const at::Tensor& qkv_NE, const TileAttentionResult& result,
                              const TileAttentionOptions& options) {
  const int64_t width = qkv_NE.size(1) / 3;
  TXTSUM_CHECK(tile_attention_serves(qkv_NE.scalar_type(), width / options.heads), width);
  TXTSUM_CHECK(options.offsets_B1.is_cuda() && options.offsets_B1.scalar_type() == at::kInt);
  cuda::TileAttention args;
  args.type = cuda::type_of(qkv_NE);
  args.sequences = options.offsets_B1.size(0) - 1;
  args.heads = options.heads;
  args.head_width = width / options.heads;
  args.tokens = qkv_NE.size(0);
  args.longest = std::min(options.longest, args.tokens);
  args.scale = static_cast<float>(options.scale);
  args.causal = options.causal;
  args.offsets = options.offsets_B1.const_data_ptr<int32_t>();
  const auto part = [&](int64_t which) { return qkv_NE.narrow(1, which * width, width).const_data_ptr(); };
  args.q = part(0);
  args.k = part(1);
  args.v = part(2);
  args.stride = qkv_NE.stride(0);
  args.out = result.out_ND.mutable_data_ptr();
  args.log_sums = result.log_sum_HN.mutable_data_ptr<float>();
  if (options.plan != nullptr) {
    TXTSUM_CHECK(!options.causal && options.plan->rule().block == kTileTokens &&
                     options.plan->rule().heads == options.heads && args.longest <= options.plan->max_tokens(),
                 args.longest);
    args.keys_of_queries = lists_of(options.plan->keys());
  }
  if (options.bias_HW.defined()) {
    const at::Tensor& bias = options.bias_HW;
    TXTSUM_CHECK(bias.is_cuda() && bias.is_contiguous() && bias.scalar_type() == at::kFloat &&
                     bias.size(0) == options.heads && bias.size(1) % 2 == 1,
                 bias.sizes());
    args.bias = bias.const_data_ptr<float>();
    args.bias_range = static_cast<int32_t>(bias.size(1) / 2);
  }
  return args;
}

}  // namespace

bool tile_attention_serves(at::ScalarType dtype, int64_t head_width) {
  static const bool has_tiles = has_flash_attention(current_gpu_major());
  return has_tiles && (dtype == at::kBFloat16 || dtype == at::kHalf) && (head_width == 64 || head_width == 128);
}

TileAttentionResult tile_attention(const at::Tensor& qkv_NE, const TileAttentionOptions& options) {
  TileAttentionResult result;
  result.out_ND = at::empty({qkv_NE.size(0), qkv_NE.size(1) / 3}, qkv_NE.options());
  result.log_sum_HN = at::empty({options.heads, qkv_NE.size(0)}, qkv_NE.options().dtype(at::kFloat));
  if (qkv_NE.size(0) > 0) cuda::tile_attention(arguments(qkv_NE, result, options), cuda::stream());
  return result;
}

TileAttentionGradients tile_attention_backward(const at::Tensor& d_out_ND, const at::Tensor& qkv_NE,
                                               const TileAttentionResult& saved, const TileAttentionOptions& options) {
  const int64_t width = qkv_NE.size(1) / 3;
  TXTSUM_CHECK(cuda::type_of(d_out_ND) == cuda::type_of(qkv_NE) && d_out_ND.sizes() == saved.out_ND.sizes());
  TileAttentionGradients gradients;
  gradients.d_qkv_NE = at::empty_like(qkv_NE);
  if (options.bias_HW.defined()) gradients.d_bias_HW = at::zeros_like(options.bias_HW);
  if (qkv_NE.size(0) == 0) return gradients;
  cuda::TileAttentionBackward args;
  args.forward = arguments(qkv_NE, saved, options);
  if (options.plan != nullptr) args.queries_of_keys = lists_of(options.plan->queries());
  const auto part = [&](int64_t which) {
    return gradients.d_qkv_NE.narrow(1, which * width, width).mutable_data_ptr();
  };
  args.d_out = d_out_ND.const_data_ptr();
  args.d_q = part(0);
  args.d_k = part(1);
  args.d_v = part(2);
  args.d_stride = gradients.d_qkv_NE.stride(0);
  const at::Tensor deltas = at::empty_like(saved.log_sum_HN);
  args.deltas = deltas.mutable_data_ptr<float>();
  at::Tensor partials;
  if (options.bias_HW.defined()) {
    partials = at::empty(
        {args.forward.sequences, cuda::tile_count(args.forward.longest), options.heads, options.bias_HW.size(1)},
        options.bias_HW.options());
    args.bias_partials = partials.mutable_data_ptr<float>();
    args.d_bias = gradients.d_bias_HW.mutable_data_ptr<float>();
  }
  cuda::tile_attention_backward(args, cuda::stream());
  return gradients;
}

#else

bool tile_attention_serves(at::ScalarType, int64_t) { return false; }

TileAttentionResult tile_attention(const at::Tensor&, const TileAttentionOptions&) {
  TXTSUM_CHECK(false, "needs a GPU");
  return {};
}

TileAttentionGradients tile_attention_backward(const at::Tensor&, const at::Tensor&, const TileAttentionResult&,
                                               const TileAttentionOptions&) {
  TXTSUM_CHECK(false, "needs a GPU");
  return {};
}

#endif

}  // namespace txtsum::ops
