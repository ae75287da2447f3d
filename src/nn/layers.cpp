#include "txtsum/nn/layers.h"

#include <ATen/ATen.h>

#include <cmath>

#include "txtsum/ops/activated_linear.h"
#include "txtsum/ops/block_sparse_attention.h"
#include "txtsum/ops/gated_linear.h"
#include "txtsum/ops/global_attention.h"
#include "txtsum/ops/linear.h"
#include "txtsum/ops/residual_dropout_norm.h"
#include "txtsum/ops/varlen_attention.h"

namespace txtsum::nn {
double attention_scale(int64_t width, int64_t heads) { return 1.0 / std::sqrt(static_cast<double>(width / heads)); }

at::Tensor Linear::operator()(const at::Tensor& x_NI) const { return ops::linear(x_NI, weight, bias); }

at::Tensor Linear::product(const at::Tensor& x_NI) const { return ops::linear(x_NI, weight, {}); }

at::Tensor Norm::operator()(const at::Tensor& x_ND, const ops::ParamRef& bias_D, const at::Tensor& residual_ND,
                            const ops::DropoutKey& dropout) const {
  return ops::residual_dropout_norm(x_ND, residual_ND, refs(bias_D), dropout);
}

ops::StreamResult Norm::add_to_stream(const at::Tensor& stream_ND, const at::Tensor& x_ND, const ops::ParamRef& bias_D,
                                      const ops::DropoutKey& dropout) const {
  return ops::add_and_norm(stream_ND, x_ND, refs(bias_D), dropout);
}

at::Tensor Norm::of_stream(const at::Tensor& stream_ND) const { return ops::norm_of_stream(stream_ND, refs()); }

at::Tensor SelfAttention::operator()(const at::Tensor& x_ND, const ops::RaggedTokens& tokens, bool causal,
                                     const ops::DropoutKey& dropout) const {
  const ops::AttentionOptions options{heads, causal, scale, dropout, /*reference=*/false, bias};
  return out.product(ops::varlen_self_attention(qkv(x_ND), tokens, options));
}

at::Tensor BandAttention::operator()(const at::Tensor& x_ND, const ops::RaggedTokens& tokens,
                                     const ops::GlobalTokens& globals) const {
  const double scale = attention_scale(x_ND.size(1), heads);
  at::Tensor seen_GD;
  if (!globals.empty()) {
    const ops::GlobalProjections projections{q_global.weight, q_global.bias, kv_global.weight, kv_global.bias};
    seen_GD = ops::global_attention(x_ND, tokens, globals, projections, heads, scale);
  }
  return out.product(ops::band_attention(qkv(x_ND), seen_GD, tokens, globals, {heads, window, scale}));
}

at::Tensor BlockSparseAttention::operator()(const at::Tensor& x_ND, const ops::RaggedTokens& tokens) const {
  const double scale = attention_scale(x_ND.size(1), plan->rule().heads);
  return out.product(ops::block_sparse_attention(qkv(x_ND), tokens, plan, scale));
}

at::Tensor CrossAttention::operator()(const at::Tensor& x_MD, const ops::RaggedTokens& target,
                                      const at::Tensor& encoded_ND, const ops::RaggedTokens& source,
                                      const ops::DropoutKey& dropout) const {
  const ops::AttentionOptions options{heads, /*causal=*/false, scale, dropout};
  return out.product(ops::varlen_cross_attention(q(x_MD), target, kv(encoded_ND), source, options));
}

at::Tensor FeedForward::operator()(const at::Tensor& x_ND, const ops::DropoutKey& dropout) const {
  if (gated) return ops::gated_linear(in.product(x_ND), activation, dropout, out.weight);
  return ops::activated_linear(in.product(x_ND), in.bias, activation, dropout, out.weight);
}

}  // namespace txtsum::nn
