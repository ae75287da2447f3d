#pragma once

#include <string>
#include <utility>

#include "txtsum/ops/block_scope.h"

namespace txtsum::ops {

/// Runs blocks as another scope does, or plainly, and throws StoppedBySignal before a block of the forward or backward
/// pass where a signal has come: a pass of a large model takes minutes on a CPU. Changes no result.
class StopScope final : public BlockScope {
 public:
  /// `text` is the error's. `inner` may be null; else it must outlive the scope.
  explicit StopScope(std::string text, BlockScope* inner = nullptr) : text_(std::move(text)), inner_(inner) {}

  at::Tensor run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) override;

 private:
  std::string text_;
  BlockScope* inner_;
};

}  // namespace txtsum::ops
