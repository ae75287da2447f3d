#include "txtsum/train/recompute_scope.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <optional>
#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/ops/device.h"

namespace txtsum::train {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

/// One block's place in the graph: holds its inputs, and in backward runs the body again with gradients on.
class RecomputeNode final : public torch::autograd::Node {
 public:
  RecomputeNode(const std::vector<at::Tensor>& inputs, ops::BlockScope::Body body) : body_(std::move(body)) {
    torch::autograd::edge_list edges;
    for (const at::Tensor& input : inputs) {
      inputs_.emplace_back(input, /*is_output=*/false);
      requires_grad_.push_back(input.defined() && input.requires_grad());
      edges.push_back(input.defined() ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
    }
    set_next_edges(std::move(edges));
  }

  /// Where the GPU's generator stood when the body ran first.
  void set_generator_offset(std::optional<uint64_t> offset) { generator_offset_ = offset; }

  variable_list apply(variable_list&& gradients) override {
    variable_list result(inputs_.size());
    if (!gradients[0].defined()) return result;
    std::vector<at::Tensor> leaves;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const at::Tensor saved = inputs_[i].unpack();
      leaves.push_back(saved.defined() ? saved.detach().set_requires_grad(requires_grad_[i]) : saved);
    }
    at::Tensor output;
    {
      const at::AutoGradMode gradients_on(true);
      const uint64_t offset_now = generator_offset_ ? ops::device_generator_offset() : 0;
      if (generator_offset_) ops::set_device_generator_offset(*generator_offset_);
      output = body_(leaves);
      if (generator_offset_) ops::set_device_generator_offset(offset_now);
    }
    torch::autograd::backward({output}, {gradients[0]});
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (requires_grad_[i] && task_should_compute_output(i)) result[i] = leaves[i].grad();
    }
    return result;
  }

  void release_variables() override {
    for (SavedVariable& input : inputs_) input.reset_data();
    body_ = nullptr;
  }

  std::string name() const override { return "RecomputeBlock"; }

 private:
  ops::BlockScope::Body body_;
  std::vector<SavedVariable> inputs_;
  std::vector<bool> requires_grad_;
  std::optional<uint64_t> generator_offset_;
};

}  // namespace

RecomputeScope::RecomputeScope(const model::ArenaLayout& layout, bool draws)
    : draws_(draws), block_trains_(static_cast<size_t>(layout.block_count()), false) {
  for (const model::ArenaEntry& entry : layout.entries()) {
    if (entry.in_trainable_range) block_trains_[static_cast<size_t>(entry.block)] = true;
  }
}

at::Tensor RecomputeScope::run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) {
  TXTSUM_CHECK(block >= 0 && block < static_cast<int64_t>(block_trains_.size()), "block ", block);
  bool trains = block_trains_[static_cast<size_t>(block)];
  for (const at::Tensor& input : inputs) trains = trains || (input.defined() && input.requires_grad());
  if (!trains || !at::GradMode::is_enabled()) return body(inputs);

  const std::shared_ptr<RecomputeNode> node(new RecomputeNode(inputs, body), torch::autograd::deleteNode);
  at::Tensor output;
  {
    const at::NoGradGuard no_grad;
    if (draws_) node->set_generator_offset(ops::device_generator_offset());
    output = body(inputs);
  }
  // A body that hands an input or a view through would tie the node to a tensor that others share.
  if (output.is_view() || output.use_count() > 1) output = output.clone();
  torch::autograd::set_history(output, node);
  return output;
}

}  // namespace txtsum::train
