#include "device_band.h"

#include <ATen/ATen.h>

#include "device_args.h"
#include "far_keys_kernels.h"

namespace txtsum::ops::cuda {
namespace {

at::Tensor heads_of(const at::Tensor& rows_ND, int64_t heads) {
  return rows_ND.unflatten(1, {heads, rows_ND.size(1) / heads});
}

/// Queries (0), keys (1) or values (2) of [N, 3 D] as [N, D].
at::Tensor part_of(const at::Tensor& qkv_NE, int64_t which) {
  const int64_t width = qkv_NE.size(1) / 3;
  return qkv_NE.narrow(1, which * width, width);
}

FarKeys far_keys(const at::Tensor& qkv_NE, const BandResult& result, const GlobalTokens& globals,
                 const BandOptions& options) {
  FarKeys keys;
  keys.type = type_of(qkv_NE);
  keys.tokens = qkv_NE.size(0);
  keys.globals = globals.count;
  keys.heads = options.heads;
  keys.head_width = qkv_NE.size(1) / (3 * options.heads);
  keys.window = options.window;
  keys.scale = static_cast<float>(options.scale);
  keys.sequence_of_token = globals.sequence_of_N.const_data_ptr<int32_t>();
  keys.global_offsets = globals.tokens.offsets_B1.const_data_ptr<int32_t>();
  keys.rows = globals.rows_G.const_data_ptr<int64_t>();
  keys.q = part_of(qkv_NE, 0).const_data_ptr();
  keys.k = part_of(qkv_NE, 1).const_data_ptr();
  keys.v = part_of(qkv_NE, 2).const_data_ptr();
  keys.stride = qkv_NE.stride(0);
  keys.out = result.out_ND.mutable_data_ptr();
  keys.log_sums = result.log_sum_HN.mutable_data_ptr<float>();
  return keys;
}

/// Whether a key may lie outside a query's window.
bool has_far_keys(const RaggedTokens& tokens, const GlobalTokens& globals, const BandOptions& options) {
  return !globals.empty() && tokens.longest > options.window + 1;
}

}  // namespace

BandResult band_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens, const GlobalTokens& globals,
                          const BandOptions& options) {
  const auto in = [&](int64_t which) { return heads_of(part_of(qkv_NE, which), options.heads); };
  const auto [out, log_sum, state, unused, debug] = at::_flash_attention_forward(
      in(0), in(1), in(2), tokens.offsets_B1, tokens.offsets_B1, tokens.longest, tokens.longest, /*dropout_p=*/0.0,
      /*is_causal=*/false, /*return_debug_mask=*/false, options.scale, options.window, options.window);
  BandResult result{out.flatten(1), log_sum, state, unused};
  if (has_far_keys(tokens, globals, options)) merge_far_keys(far_keys(qkv_NE, result, globals, options), stream());
  return result;
}

at::Tensor band_attention_backward(const at::Tensor& d_out_ND, const at::Tensor& qkv_NE, const BandResult& saved,
                                   const RaggedTokens& tokens, const GlobalTokens& globals,
                                   const BandOptions& options) {
  const auto in = [&](int64_t which) { return heads_of(part_of(qkv_NE, which), options.heads); };
  const auto [d_q, d_k, d_v] = at::_flash_attention_backward(
      heads_of(d_out_ND, options.heads), in(0), in(1), in(2), heads_of(saved.out_ND, options.heads), saved.log_sum_HN,
      tokens.offsets_B1, tokens.offsets_B1, tokens.longest, tokens.longest, /*dropout_p=*/0.0, /*is_causal=*/false,
      saved.random_state, saved.random_offset, options.scale, options.window, options.window);
  if (has_far_keys(tokens, globals, options)) {
    FarKeysBackward backward;
    backward.forward = far_keys(qkv_NE, saved, globals, options);
    backward.offsets = tokens.offsets_B1.const_data_ptr<int32_t>();
    backward.sequence_of_global = globals.sequence_of_G.const_data_ptr<int32_t>();
    backward.longest = tokens.longest;
    TXTSUM_CHECK(type_of(d_out_ND) == backward.forward.type && d_q.is_contiguous() && d_k.is_contiguous() &&
                 d_v.is_contiguous());
    backward.d_out = d_out_ND.const_data_ptr();
    backward.d_q = d_q.mutable_data_ptr();
    backward.d_k = d_k.mutable_data_ptr();
    backward.d_v = d_v.mutable_data_ptr();
    const at::TensorOptions in_fp32 = qkv_NE.options().dtype(at::kFloat);
    const at::Tensor deltas = at::empty({qkv_NE.size(0), options.heads}, in_fp32);
    const int64_t pieces = far_key_pieces(tokens.longest, globals.count);
    const at::Tensor partials = at::empty({globals.count, pieces, 2, d_out_ND.size(1)}, in_fp32);
    backward.deltas = deltas.mutable_data_ptr<float>();
    backward.partials = partials.mutable_data_ptr<float>();
    far_keys_backward(backward, stream());
  }
  return at::cat({d_q.flatten(1), d_k.flatten(1), d_v.flatten(1)}, 1);
}

}  // namespace txtsum::ops::cuda
