#include "txtsum/ops/global_attention.h"

#include <ATen/ATen.h>

#include <limits>

#include "graph.h"
#include "product_gradient.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/linear.h"
#include "txtsum/ops/varlen_attention.h"

// H heads of width K; R = H * G queries, one a head and global token, head by head.

namespace txtsum::ops {
namespace {

/// a b in fp32, whatever type both have.
at::Tensor fp32_product(const at::Tensor& a, const at::Tensor& b) {
  if (a.is_cuda() && a.scalar_type() != at::kFloat) return at::mm(a, b, at::kFloat);
  return at::mm(a, b).to(at::kFloat);
}

/// gradient += a b for each head.
void add_products(const at::Tensor& gradient_HKD, const at::Tensor& a_HKG, const at::Tensor& b_HGD) {
  if (gradient_HKD.scalar_type() == a_HKG.scalar_type()) {
    at::Tensor(gradient_HKD).baddbmm_(a_HKG, b_HGD);
  } else {
    gradient_HKD.add_(at::bmm(a_HKG, b_HGD));
  }
}

struct FewQueries {
  GlobalTokens globals;
  GlobalProjections projections;
  int64_t heads = 1;
  double scale = 1.0;

  /// [G, D] as [H, G, K].
  at::Tensor by_head(const at::Tensor& rows_GD) const {
    return rows_GD.view({rows_GD.size(0), heads, rows_GD.size(1) / heads}).transpose(0, 1);
  }
  /// [H, G, K] as [G, D].
  static at::Tensor rows_of(const at::Tensor& x_HGK) { return x_HGK.transpose(0, 1).flatten(1); }
  /// The keys' or the values' half of [2 D, ...] as [H, K, ...].
  at::Tensor half(const at::Tensor& both, int64_t which) const {
    const int64_t width = both.size(0) / 2;
    return both.narrow(0, which * width, width).unflatten(0, {heads, width / heads});
  }
  at::Tensor keys_HKD() const { return half(projections.kv_weight.value(), 0); }
  at::Tensor values_HKD() const { return half(projections.kv_weight.value(), 1); }
};

/// What the forward pass leaves.
struct FewResult {
  at::Tensor seen_GD;
  at::Tensor queries_GD;  ///< In the space of heads
  at::Tensor wide_RD;     ///< and in that of the rows of x.
  at::Tensor p_RN;        ///< Probabilities in fp32; 0 outside a query's sequence.
  at::Tensor sums_RD;     ///< Rows of x, weighted by them.
};

FewResult few_forward(const at::Tensor& x_ND, const FewQueries& few) {
  const int64_t width = x_ND.size(1), count = few.globals.count;
  const GlobalProjections& by = few.projections;
  FewResult result;
  const at::Tensor rows_GD = x_ND.index_select(0, few.globals.rows_G), q_weight = by.q_weight.value();
  result.queries_GD =
      by.q_bias.index >= 0 ? at::addmm(by.q_bias.value(), rows_GD, q_weight.t()) : at::mm(rows_GD, q_weight.t());
  result.wide_RD = at::bmm(few.by_head(result.queries_GD), few.keys_HKD()).view({-1, width});
  const at::Tensor other_GN = few.globals.sequence_of_G.unsqueeze(1).ne(few.globals.sequence_of_N);
  at::Tensor scores_RN = fp32_product(result.wide_RD, x_ND.t()).mul_(few.scale);
  scores_RN.view({few.heads, count, -1}).masked_fill_(other_GN, -std::numeric_limits<float>::infinity());
  result.p_RN = at::softmax(scores_RN, -1);
  result.sums_RD = at::mm(result.p_RN.to(x_ND.scalar_type()), x_ND);
  result.seen_GD =
      FewQueries::rows_of(at::bmm(result.sums_RD.view({few.heads, count, width}), few.values_HKD().transpose(1, 2)));
  if (by.kv_bias.index >= 0) result.seen_GD.add_(by.kv_bias.value().narrow(0, width, width));
  return result;
}

struct FewNode final : torch::autograd::Node {
  FewQueries few;
  FewResult result;
  torch::autograd::SavedVariable x;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    const at::Tensor d_seen_GD = grads[0].contiguous(), x_ND = x.unpack().detach();
    const GlobalProjections& by = few.projections;
    const int64_t width = x_ND.size(1), count = few.globals.count;
    const at::Tensor d_seen_HGK = few.by_head(d_seen_GD), sums_HGD = result.sums_RD.view({few.heads, count, width});
    if (trains(by.kv_weight)) {
      add_products(few.half(by.kv_weight.gradient(), 1), d_seen_HGK.transpose(1, 2), sums_HGD);
    }
    if (trains(by.kv_bias)) add_row_sums(by.kv_bias.gradient().narrow(0, width, width), d_seen_GD);

    const at::Tensor d_sums_RD = at::bmm(d_seen_HGK, few.values_HKD()).view({-1, width});
    const at::Tensor d_p_RN = fp32_product(d_sums_RD, x_ND.t());
    const at::Tensor mean_R1 = (d_p_RN * result.p_RN).sum(1, /*keepdim=*/true);
    const at::Tensor d_scores_RN = (d_p_RN - mean_R1).mul_(result.p_RN).mul_(few.scale).to(x_ND.scalar_type());
    const at::Tensor d_wide_HGD = at::mm(d_scores_RN, x_ND).view({few.heads, count, width});
    if (trains(by.kv_weight)) {
      add_products(few.half(by.kv_weight.gradient(), 0), few.by_head(result.queries_GD).transpose(1, 2), d_wide_HGD);
    }
    const at::Tensor d_queries_GD = FewQueries::rows_of(at::bmm(d_wide_HGD, few.keys_HKD().transpose(1, 2)));
    if (trains(by.q_weight)) {
      add_product_gradient(by.q_weight, d_queries_GD, x_ND.index_select(0, few.globals.rows_G));
    }
    if (trains(by.q_bias)) add_row_sums(by.q_bias.gradient(), d_queries_GD);
    if (!task_should_compute_output(0)) return {at::Tensor()};

    // x is a key, a value and, at the global tokens, a query.
    const at::Tensor d_x_ND =
        at::mm(at::cat({result.p_RN.to(x_ND.scalar_type()), d_scores_RN}).t(), at::cat({d_sums_RD, result.wide_RD}));
    return {at::Tensor(d_x_ND).index_add_(0, few.globals.rows_G, at::mm(d_queries_GD, by.q_weight.value()))};
  }

  void release_variables() override {
    x.reset_data();
    result = {};
  }
};

at::Tensor few_query_attention(const at::Tensor& x_ND, const FewQueries& few) {
  const GlobalProjections& by = few.projections;
  std::shared_ptr<FewNode> node;
  if (graph_needed({x_ND}, {by.q_weight, by.q_bias, by.kv_weight, by.kv_bias})) {
    node = make_node<FewNode>({x_ND});
    node->few = few;
    node->x = save(x_ND);
  }
  at::Tensor seen_GD;
  {
    const at::NoGradGuard no_grad;
    FewResult result = few_forward(x_ND.detach(), few);
    seen_GD = std::move(result.seen_GD);
    if (node) node->result = std::move(result);
  }
  if (node) torch::autograd::set_history(seen_GD, node);
  return seen_GD;
}

}  // namespace

at::Tensor global_attention(const at::Tensor& x_ND, const RaggedTokens& tokens, const GlobalTokens& globals,
                            const GlobalProjections& projections, int64_t heads, double scale) {
  TXTSUM_CHECK(!globals.empty() && x_ND.size(1) % heads == 0, x_ND.size(1));
  if (globals.count <= x_ND.size(1) / heads) return few_query_attention(x_ND, {globals, projections, heads, scale});
  const at::Tensor q_GD = linear(x_ND.index_select(0, globals.rows_G), projections.q_weight, projections.q_bias);
  const at::Tensor kv_NE = linear(x_ND, projections.kv_weight, projections.kv_bias);
  return varlen_cross_attention(q_GD, globals.tokens, kv_NE, tokens, {heads, /*causal=*/false, scale, {}});
}

}  // namespace txtsum::ops
