#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace txtsum::ops {

/// The one seam through which a model runs its blocks. The default calls the body; recomputation, gathering of sharded
/// weights and offload are other scopes (train layer).
class BlockScope {
 public:
  using Body = std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>;

  virtual ~BlockScope() = default;

  /// Runs block number `block` (ArenaEntry::block) on `inputs` and returns the body's result. `inputs` holds every
  /// tensor of the body that may require grad; anything else that the body captures must be constant until backward is
  /// over.
  virtual at::Tensor run(int64_t block, const std::vector<at::Tensor>& inputs, const Body& body) {
    static_cast<void>(block);
    return body(inputs);
  }
};

}  // namespace txtsum::ops
