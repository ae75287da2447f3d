#include "txtsum/ops/gated_linear.h"

#include <ATen/ATen.h>

#include "activation_function.h"
#include "device_ops.h"
#include "graph.h"
#include "product_gradient.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/dropout.h"

namespace txtsum::ops {
namespace {

at::Tensor gate(const at::Tensor& x_NE, Activation kind, const DropoutKey& key) {
  if constexpr (kWithCuda) {
    if (x_NE.is_cuda()) return cuda::gate(x_NE, kind, key);
  }
  const std::vector<at::Tensor> halves = x_NE.chunk(2, 1);
  return dropout(activation_value(halves[0], kind).mul_(halves[1]), key);
}

struct GateGradient {
  at::Tensor d_x_NE, gated_NF;
};

GateGradient gate_backward(const at::Tensor& d_gated_NF, const at::Tensor& x_NE, Activation kind,
                           const DropoutKey& key) {
  if constexpr (kWithCuda) {
    if (x_NE.is_cuda()) {
      GateGradient result;
      std::tie(result.d_x_NE, result.gated_NF) = cuda::gate_backward(d_gated_NF, x_NE, kind, key);
      return result;
    }
  }
  const std::vector<at::Tensor> halves = x_NE.chunk(2, 1);
  const at::Tensor value = activation_value(halves[0], kind), d = dropout(d_gated_NF, key);
  return {at::cat({activation_gradient(d * halves[1], halves[0], kind), d * value}, 1),
          dropout(value * halves[1], key)};
}

struct GatedLinearNode final : torch::autograd::Node {
  Activation kind = Activation::kGelu;
  ParamRef weight;
  DropoutKey key;
  torch::autograd::SavedVariable x;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    const at::Tensor d_out = grads[0].contiguous();
    const GateGradient d = gate_backward(at::mm(d_out, weight.value()), x.unpack(), kind, key);
    if (trains(weight)) add_product_gradient(weight, d_out, d.gated_NF);
    return {d.d_x_NE};
  }

  void release_variables() override { x.reset_data(); }
};

}  // namespace

at::Tensor gated_linear(const at::Tensor& x_NE, Activation kind, const DropoutKey& key, const ParamRef& weight) {
  TXTSUM_CHECK(x_NE.size(1) == 2 * weight.value().size(1), x_NE.size(1));
  std::shared_ptr<GatedLinearNode> node;
  if (graph_needed({x_NE}, {weight})) {
    node = make_node<GatedLinearNode>({x_NE});
    node->kind = kind;
    node->weight = weight;
    node->key = key;
    node->x = save(x_NE);
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    out = at::mm(gate(x_NE.detach(), kind, key), weight.value().t());
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
