#include "txtsum/ops/activation.h"

#include <ATen/ATen.h>

#include "activation_function.h"
#include "device_ops.h"
#include "graph.h"
#include "product_gradient.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/ops/dropout.h"

namespace txtsum::ops {
at::Tensor activation_value(const at::Tensor& x, Activation kind) {
  switch (kind) {
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kTanh:
      return at::tanh(x);
  }
  TXTSUM_CHECK(false, "activation");
  return x;
}

at::Tensor activation_gradient(const at::Tensor& d_out, const at::Tensor& x, Activation kind) {
  switch (kind) {
    case Activation::kGelu:
      return at::gelu_backward(d_out, x);
    case Activation::kGeluTanh:
      return at::gelu_backward(d_out, x, "tanh");
    case Activation::kRelu:
      return at::threshold_backward(d_out, x, 0);
    case Activation::kSilu:
      return at::silu_backward(d_out, x);
    case Activation::kTanh:
      return at::tanh_backward(d_out, at::tanh(x));
  }
  TXTSUM_CHECK(false, "activation");
  return d_out;
}

namespace {

at::Tensor with_bias(const at::Tensor& x_NF, const at::Tensor& bias_F) {
  return bias_F.defined() ? x_NF + bias_F : x_NF;
}

struct ActivationNode final : torch::autograd::Node {
  Activation kind = Activation::kGelu;
  ParamRef bias;
  DropoutKey key;
  torch::autograd::SavedVariable x;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override {
    const at::NoGradGuard no_grad;
    if (!grads[0].defined()) return {at::Tensor()};
    const at::Tensor bias_F = values_of(bias), bias_gradient_F = gradient_of(bias);
    if constexpr (kWithCuda) {
      if (grads[0].is_cuda()) {
        return {cuda::activation_backward(grads[0], {x.unpack(), bias_F, kind, key}, bias_gradient_F)};
      }
    }
    const at::Tensor d_x = activation_gradient(dropout(grads[0], key), with_bias(x.unpack(), bias_F), kind);
    if (bias_gradient_F.defined()) add_row_sums(bias_gradient_F, d_x);
    return {d_x};
  }

  void release_variables() override { x.reset_data(); }
};

}  // namespace

Activation activation_named(const std::string& name) {
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  if (name == "relu") return Activation::kRelu;
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "tanh") return Activation::kTanh;
  throw core::DataError("activation_function '" + name +
                        "' is not one of gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish, tanh");
}

at::Tensor activation(const at::Tensor& x_NF, const ParamRef& bias, Activation kind, const DropoutKey& key) {
  std::shared_ptr<ActivationNode> node;
  if (graph_needed({x_NF}, {bias})) {
    node = make_node<ActivationNode>({x_NF});
    node->kind = kind;
    node->bias = bias;
    node->key = key;
    node->x = save(x_NF);
  }
  at::Tensor out;
  {
    const at::NoGradGuard no_grad;
    if constexpr (kWithCuda) {
      if (x_NF.is_cuda()) out = cuda::activation(x_NF.detach(), values_of(bias), kind, key);
    }
    if (!out.defined()) out = dropout(activation_value(with_bias(x_NF, values_of(bias)), kind), key);
  }
  if (node) torch::autograd::set_history(out, node);
  return out;
}

}  // namespace txtsum::ops
