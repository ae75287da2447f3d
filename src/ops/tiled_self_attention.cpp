#include "tiled_self_attention.h"

#include <ATen/ATen.h>

#include "graph.h"
#include "txtsum/ops/tile_attention.h"

namespace txtsum::ops {
namespace {

/// Distance from which on all biases are alike.
int64_t range_of(const RelativeBias& bias) { return bias.bucket_of_E.size(0) / 2; }

struct TiledNode final : torch::autograd::Node {
  torch::autograd::SavedVariable qkv_NE;
  TileAttentionOptions options;
  TileAttentionResult result;
  RelativeBias bias;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return torch::autograd::variable_list(1);
    const TileAttentionGradients d =
        tile_attention_backward(grads[0].contiguous(), qkv_NE.unpack().detach(), result, options);
    if (trains(bias.table_UH)) add_bias_gradient(bias, -range_of(bias), d.d_bias_HW);
    return {d.d_qkv_NE};
  }

  void release_variables() override {
    qkv_NE.reset_data();
    result = {};
    options = {};
  }
};

}  // namespace

bool goes_by_tiles(const at::Tensor& qkv_NE, const AttentionOptions& options) {
  return qkv_NE.is_cuda() && !options.reference && options.bias.present() && !options.dropout.active() &&
         tile_attention_serves(qkv_NE.scalar_type(), qkv_NE.size(1) / (3 * options.heads));
}

at::Tensor tiled_self_attention(const at::Tensor& qkv_NE, const RaggedTokens& tokens, const AttentionOptions& options) {
  const at::Tensor qkv = qkv_NE.contiguous();
  std::shared_ptr<TiledNode> node;
  if (graph_needed({qkv}, {options.bias.table_UH})) {
    node = make_node<TiledNode>({qkv});
    node->qkv_NE = save(qkv);
    node->bias = options.bias;
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    TileAttentionOptions tiles;
    tiles.heads = options.heads;
    tiles.scale = options.scale;
    tiles.causal = options.causal;
    tiles.offsets_B1 = tokens.offsets_B1;
    tiles.longest = tokens.longest;
    tiles.bias_HW = bias_of_distances(options.bias, -range_of(options.bias), 2 * range_of(options.bias) + 1);
    const TileAttentionResult result = tile_attention(qkv.detach(), tiles);
    out = result.out_ND;
    if (node) {
      node->options = tiles;
      node->result = {out.detach(), result.log_sum_HN};
    }
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
