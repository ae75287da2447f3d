#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "txtsum/model/arena.h"
#include "txtsum/ops/block_scope.h"

namespace txtsum::train {

/// Keeps only each block's inputs and runs its body again in backward (Chen et al. 2016, arXiv:1604.06174). Gradients
/// are bit-equal to a plain run, since dropout is keyed and not drawn from a generator. A block that neither trains nor
/// has an input that requires grad runs plainly and builds no graph.
class RecomputeScope final : public ops::BlockScope {
 public:
  /// `layout` says which blocks train; `draws` that bodies draw from the GPU's generator.
  explicit RecomputeScope(const model::ArenaLayout& layout, bool draws = false);

  at::Tensor run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) override;

 private:
  bool draws_;
  std::vector<bool> block_trains_;
};

}  // namespace txtsum::train
