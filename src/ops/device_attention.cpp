#include "device_attention.h"

#include <ATen/ATen.h>

namespace txtsum::ops::cuda {
namespace {

// _efficient_attention_forward's numbers for its masks.
constexpr int64_t kNoMask = 0, kCausalFromTopLeft = 1;

int64_t mask_of(const AttentionOptions& options) { return options.causal ? kCausalFromTopLeft : kNoMask; }

bool is_fp32(const at::Tensor& q) { return q.scalar_type() == at::kFloat; }

at::Tensor heads_of(const at::Tensor& rows_ND, int64_t heads) {
  return rows_ND.unflatten(1, {heads, rows_ND.size(1) / heads});
}

}  // namespace

AttentionResult attention(const at::Tensor& q_MD, const at::Tensor& k_ND, const at::Tensor& v_ND,
                          const AttentionShape& shape, const AttentionOptions& options) {
  const at::Tensor q = heads_of(q_MD, options.heads), k = heads_of(k_ND, options.heads),
                   v = heads_of(v_ND, options.heads);
  const double p = options.dropout.probability;
  AttentionResult result;
  if (is_fp32(q_MD)) {
    auto [out, log_sum, seed, offset, max_q, max_k] = at::_efficient_attention_forward(
        q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), /*bias=*/{}, shape.q_offsets_B1, shape.k_offsets_B1,
        shape.longest_q, shape.longest_k, p, mask_of(options), /*compute_log_sumexp=*/true, options.scale);
    result = {out.squeeze(0).flatten(1), log_sum, seed, offset};
  } else {
    auto [out, log_sum, state, unused, debug] = at::_flash_attention_forward(
        q, k, v, shape.q_offsets_B1, shape.k_offsets_B1, shape.longest_q, shape.longest_k, p, options.causal,
        /*return_debug_mask=*/false, options.scale, /*window_size_left=*/std::nullopt,
        /*window_size_right=*/std::nullopt);
    result = {out.flatten(1), log_sum, state, unused};
  }
  return result;
}

AttentionGradients attention_backward(const at::Tensor& d_out_MD, const at::Tensor& q_MD, const at::Tensor& k_ND,
                                      const at::Tensor& v_ND, const AttentionResult& saved, const AttentionShape& shape,
                                      const AttentionOptions& options) {
  const at::Tensor q = heads_of(q_MD, options.heads), k = heads_of(k_ND, options.heads),
                   v = heads_of(v_ND, options.heads), d_out = heads_of(d_out_MD, options.heads),
                   out = heads_of(saved.out_MD, options.heads);
  const double p = options.dropout.probability;
  if (is_fp32(q_MD)) {
    auto [d_q, d_k, d_v, d_bias] = at::_efficient_attention_backward(
        d_out.unsqueeze(0), q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), /*bias=*/{}, out.unsqueeze(0),
        shape.q_offsets_B1, shape.k_offsets_B1, shape.longest_q, shape.longest_k, saved.log_sum, p, saved.random_state,
        saved.random_offset, mask_of(options), /*bias_requires_grad=*/false, options.scale);
    return {d_q.squeeze(0).flatten(1), d_k.squeeze(0).flatten(1), d_v.squeeze(0).flatten(1)};
  }
  auto [d_q, d_k, d_v] = at::_flash_attention_backward(
      d_out, q, k, v, out, saved.log_sum, shape.q_offsets_B1, shape.k_offsets_B1, shape.longest_q, shape.longest_k, p,
      options.causal, saved.random_state, saved.random_offset, options.scale);
  return {d_q.flatten(1), d_k.flatten(1), d_v.flatten(1)};
}

}  // namespace txtsum::ops::cuda
