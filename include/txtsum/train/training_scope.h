#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "txtsum/model/arena.h"
#include "txtsum/ops/block_scope.h"

namespace txtsum::train {

enum class Pass { kForward, kBackward };

/// Is told when a block's weights are needed and its gradients are added to.
class BlockHooks {
 public:
  virtual ~BlockHooks() = default;
  virtual void enter(int64_t block, Pass pass) = 0;
  /// In the backward pass all of the block's gradients have been added.
  virtual void leave(int64_t block, Pass pass) = 0;
};

struct TrainingScopeOptions {
  bool recompute = false;
  bool draws = false;           ///< Bodies draw from the GPU's generator.
  BlockHooks* hooks = nullptr;  ///< Called around each block, in either pass; must outlive the graph.
};

/// Runs a block as one node of the graph, so that its backward pass has a beginning and an end. With `recompute` it
/// keeps the block's inputs alone and runs the body again in backward (Chen et al. 2016, arXiv:1604.06174). Gradients
/// are bit-equal to a plain run, since dropout is keyed and not drawn from a generator, but for that of probabilities
/// on a GPU (`draws`), whose generator is moved back. A block that neither trains nor has an input that requires grad
/// runs plainly and builds no graph.
class TrainingScope final : public ops::BlockScope {
 public:
  /// `layout` says which blocks train.
  TrainingScope(const model::ArenaLayout& layout, const TrainingScopeOptions& options);

  at::Tensor run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) override;

 private:
  TrainingScopeOptions options_;
  std::vector<bool> block_trains_;
};

}  // namespace txtsum::train
