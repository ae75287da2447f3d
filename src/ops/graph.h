#pragma once

// How an operation joins the autograd graph: a typed node that holds what backward needs, made only where something
// trains.

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include <initializer_list>
#include <memory>
#include <utility>

#include "txtsum/ops/parameter.h"

namespace txtsum::ops {

inline bool trains(const ParamRef& ref) { return ref.index >= 0 && ref.trainable(); }

/// Where the parameter's gradient is added; undefined where it has none.
inline at::Tensor gradient_of(const ParamRef& ref) { return ref.index >= 0 ? ref.gradient() : at::Tensor(); }

/// The parameter's values; undefined where there is no parameter.
inline at::Tensor values_of(const ParamRef& ref) { return ref.index >= 0 ? ref.value() : at::Tensor(); }

/// True when gradients are on and an input requires grad or a parameter trains.
inline bool graph_needed(std::initializer_list<at::Tensor> inputs, std::initializer_list<ParamRef> parameters) {
  if (!at::GradMode::is_enabled()) return false;
  for (const at::Tensor& input : inputs) {
    if (input.defined() && input.requires_grad()) return true;
  }
  for (const ParamRef& parameter : parameters) {
    if (trains(parameter)) return true;
  }
  return false;
}

/// A node whose gradients go to `inputs`, in order.
template <typename NodeType>
std::shared_ptr<NodeType> make_node(std::initializer_list<at::Tensor> inputs) {
  std::shared_ptr<NodeType> node(new NodeType, torch::autograd::deleteNode);
  torch::autograd::edge_list edges;
  for (const at::Tensor& input : inputs) {
    edges.push_back(input.defined() ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
  }
  node->set_next_edges(std::move(edges));
  return node;
}

inline torch::autograd::SavedVariable save(const at::Tensor& tensor) {
  return torch::autograd::SavedVariable(tensor, /*is_output=*/false);
}

}  // namespace txtsum::ops
