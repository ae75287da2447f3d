#include "txtsum/train/training_scope.h"

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

/// Tells the hooks, where there are any, of one block and pass.
class Visit {
 public:
  Visit(BlockHooks* hooks, int64_t block, Pass pass) : hooks_(hooks), block_(block), pass_(pass) {
    if (hooks_ != nullptr) hooks_->enter(block_, pass_);
  }
  void end() {
    if (hooks_ != nullptr) hooks_->leave(block_, pass_);
  }

 private:
  BlockHooks* hooks_;
  int64_t block_;
  Pass pass_;
};

/// One block's place in the graph. It has either the graph of its body, which begins at copies of the inputs, or the
/// inputs, and runs the body again.
class BlockNode final : public torch::autograd::Node {
 public:
  BlockNode(const std::vector<at::Tensor>& inputs, int64_t block, const TrainingScopeOptions& options)
      : block_(block), options_(options) {
    torch::autograd::edge_list edges;
    for (const at::Tensor& input : inputs) {
      inputs_.emplace_back(input, /*is_output=*/false);
      requires_grad_.push_back(input.defined() && input.requires_grad());
      edges.push_back(input.defined() ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
    }
    set_next_edges(std::move(edges));
  }

  at::Tensor forward(ops::BlockScope::Body body) {
    Visit visit(options_.hooks, block_, Pass::kForward);
    at::Tensor output;
    if (options_.recompute) {
      const at::NoGradGuard no_grad;
      if (options_.draws) generator_offset_ = ops::device_generator_offset();
      output = body(unpacked());
      body_ = std::move(body);
    } else {
      run_with_graph(body);
      output = inner_output_.variable_data();
    }
    visit.end();
    return output;
  }

  variable_list apply(variable_list&& gradients) override {
    variable_list result(inputs_.size());
    if (!gradients[0].defined()) return result;
    Visit visit(options_.hooks, block_, Pass::kBackward);
    if (options_.recompute) {
      const uint64_t offset_now = generator_offset_ ? ops::device_generator_offset() : 0;
      if (generator_offset_) ops::set_device_generator_offset(*generator_offset_);
      run_with_graph(body_);
      if (generator_offset_) ops::set_device_generator_offset(offset_now);
    }
    if (inner_output_.requires_grad()) torch::autograd::backward({inner_output_}, {gradients[0]});
    for (size_t i = 0; i < leaves_.size(); ++i) {
      if (requires_grad_[i] && task_should_compute_output(i)) result[i] = leaves_[i].grad();
    }
    leaves_.clear();
    inner_output_.reset();
    visit.end();
    return result;
  }

  void release_variables() override {
    for (SavedVariable& input : inputs_) input.reset_data();
    body_ = nullptr;
    leaves_.clear();
    inner_output_.reset();
  }

  std::string name() const override { return "Block"; }

 private:
  std::vector<at::Tensor> unpacked() {
    std::vector<at::Tensor> inputs;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const at::Tensor saved = inputs_[i].unpack();
      inputs.push_back(saved.defined() ? saved.detach().set_requires_grad(requires_grad_[i]) : saved);
    }
    return inputs;
  }

  void run_with_graph(const ops::BlockScope::Body& body) {
    const at::AutoGradMode gradients_on(true);
    leaves_ = unpacked();
    inner_output_ = body(leaves_);
  }

  int64_t block_;
  TrainingScopeOptions options_;
  std::vector<SavedVariable> inputs_;
  std::vector<bool> requires_grad_;
  ops::BlockScope::Body body_;
  std::optional<uint64_t> generator_offset_;  // where the GPU's generator stood when the body ran first
  std::vector<at::Tensor> leaves_;
  at::Tensor inner_output_;
};

}  // namespace

TrainingScope::TrainingScope(const model::ArenaLayout& layout, const TrainingScopeOptions& options)
    : options_(options) {
  for (int64_t block = 0; block < layout.block_count(); ++block) {
    block_trains_.push_back(layout.block_range(block, /*trainable=*/true).numel() > 0);
  }
}

at::Tensor TrainingScope::run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) {
  TXTSUM_CHECK(block >= 0 && block < static_cast<int64_t>(block_trains_.size()), "block ", block);
  bool trains = block_trains_[static_cast<size_t>(block)];
  for (const at::Tensor& input : inputs) trains = trains || (input.defined() && input.requires_grad());
  if (!trains || !at::GradMode::is_enabled()) {
    Visit visit(options_.hooks, block, Pass::kForward);
    at::Tensor output = body(inputs);
    visit.end();
    return output;
  }
  const std::shared_ptr<BlockNode> node(new BlockNode(inputs, block, options_), torch::autograd::deleteNode);
  at::Tensor output = node->forward(body);
  // A body that hands an input or a view through would tie the node to a tensor that others share.
  if (output.is_view() || output.use_count() > 1) output = output.clone();
  torch::autograd::set_history(output, node);
  return output;
}

}  // namespace txtsum::train
