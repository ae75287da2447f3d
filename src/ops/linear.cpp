#include "txtsum/ops/linear.h"

#include <ATen/ATen.h>

#include "device_ops.h"
#include "graph.h"
#include "product_gradient.h"

namespace txtsum::ops {

void add_product_gradient(const ParamRef& weight_OI, const at::Tensor& d_out_NO, const at::Tensor& x_NI) {
  // What is written instead of added to need be neither cleared before nor read.
  const bool writes = weight_OI.source->take_unwritten(weight_OI.index);
  const at::Tensor all = weight_OI.gradient();
  const int64_t rows = d_out_NO.size(1);
  at::Tensor out = all.narrow(0, 0, rows);
  if (writes && rows < all.size(0)) all.narrow(0, rows, all.size(0) - rows).zero_();
  if (out.scalar_type() != x_NI.scalar_type()) {
    const at::Tensor product_OI = at::mm(d_out_NO.t(), x_NI);
    writes ? out.copy_(product_OI) : out.add_(product_OI);
  } else if (writes) {
    at::mm_out(out, d_out_NO.t(), x_NI);
  } else {
    at::addmm_out(out, out, d_out_NO.t(), x_NI);
  }
}

void add_row_sums(const at::Tensor& gradient_O, const at::Tensor& d_out_NO) {
  if constexpr (kWithCuda) {
    if (d_out_NO.is_cuda() && d_out_NO.size(1) % 8 == 0) return cuda::add_column_sums(gradient_O, d_out_NO);
  }
  gradient_O.add_(at::sum(d_out_NO, at::IntArrayRef{0}, /*keepdim=*/false, at::kFloat));
}

namespace {

struct LinearNode final : torch::autograd::Node {
  ParamRef weight, bias;
  torch::autograd::SavedVariable x;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    const at::Tensor d_out = grads[0].contiguous();
    if (trains(weight)) add_product_gradient(weight, d_out, x.unpack());
    if (trains(bias)) add_row_sums(bias.gradient(), d_out);
    if (!task_should_compute_output(0)) return {at::Tensor()};
    return {at::mm(d_out, weight.value())};
  }

  void release_variables() override { x.reset_data(); }
};

}  // namespace

at::Tensor linear(const at::Tensor& x_NI, const ParamRef& weight_OI, const ParamRef& bias_O) {
  std::shared_ptr<LinearNode> node;
  if (graph_needed({x_NI}, {weight_OI, bias_O})) {
    node = make_node<LinearNode>({x_NI});
    node->weight = weight_OI;
    node->bias = bias_O;
    if (trains(weight_OI)) node->x = save(x_NI);
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor weight = weight_OI.value();
    out = bias_O.index >= 0 ? at::addmm(bias_O.value(), x_NI, weight.t()) : at::mm(x_NI, weight.t());
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
