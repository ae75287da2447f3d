#include "txtsum/ops/activated_linear.h"

#include <ATen/ATen.h>

#include "device_ops.h"
#include "graph.h"
#include "product_gradient.h"
#include "txtsum/ops/linear.h"

namespace txtsum::ops {
namespace {

/// On a GPU alone.
struct ActivatedLinearNode final : torch::autograd::Node {
  Activation kind = Activation::kGelu;
  ParamRef bias, weight;
  DropoutKey key;
  torch::autograd::SavedVariable x;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    if constexpr (kWithCuda) {
      const at::Tensor d_out = grads[0].contiguous(), x_NF = x.unpack();
      const at::Tensor d_activated = at::mm(d_out, weight.value());
      const at::Tensor activated = trains(weight) ? at::empty_like(d_activated) : at::Tensor();
      const at::Tensor d_x = cuda::activation_backward(d_activated, {x_NF, values_of(bias), kind, key},
                                                       gradient_of(bias), activated, /*in_place=*/true);
      if (activated.defined()) add_product_gradient(weight, d_out, activated);
      return {d_x};
    }
    return {at::Tensor()};
  }

  void release_variables() override { x.reset_data(); }
};

}  // namespace

at::Tensor activated_linear(const at::Tensor& x_NF, const ParamRef& bias, Activation kind, const DropoutKey& key,
                            const ParamRef& weight) {
  // On a CPU making the result again would cost more than the memory is worth.
  if (!kWithCuda || !x_NF.is_cuda()) return linear(activation(x_NF, bias, kind, key), weight, {});
  std::shared_ptr<ActivatedLinearNode> node;
  if (graph_needed({x_NF}, {bias, weight})) {
    node = make_node<ActivatedLinearNode>({x_NF});
    node->kind = kind;
    node->bias = bias;
    node->weight = weight;
    node->key = key;
    node->x = save(x_NF);
  }
  at::Tensor out;
  if constexpr (kWithCuda) {
    const at::NoGradGuard no_grad;
    out = at::mm(cuda::activation(x_NF.detach(), values_of(bias), kind, key), weight.value().t());
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
