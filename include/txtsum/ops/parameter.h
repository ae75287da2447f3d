#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace txtsum::ops {

/// Where operations find a parameter's values and leave its gradient. The arena implements it (model/arena.h); a
/// sharded run resolves the same indices to gathered slots.
class ParameterSource {
 public:
  virtual ~ParameterSource() = default;
  /// Working weights of view `index`, in the parameter's shape. The storage may be reused after the block is left: ask
  /// again in backward instead of keeping the tensor.
  virtual at::Tensor value(int64_t index) const = 0;
  /// Where the gradient of view `index` is added up, in the parameter's shape; an undefined tensor when it does not
  /// train. As for values, ask again in backward.
  virtual at::Tensor gradient(int64_t index) const = 0;
  /// Whether nothing has been added to the gradient of view `index` since it was cleared, and its memory holds
  /// anything: the caller then writes all of it, which is not asked again. gradient() gives memory that is cleared.
  virtual bool take_unwritten(int64_t /*index*/) const { return false; }
  /// Whether view `index` gathers a gradient. True also while the gradient has no memory yet.
  virtual bool trains(int64_t index) const { return gradient(index).defined(); }
};

/// Names one view of the arena: a parameter, or a fused group such as the weights of q, k and v. Weights are no
/// autograd variables: an operation takes a ParamRef, and its backward node adds into gradient(). A node is made only
/// where an input requires grad or a parameter trains, so that a frozen prefix builds no graph.
struct ParamRef {
  const ParameterSource* source = nullptr;
  int64_t index = -1;

  at::Tensor value() const { return source->value(index); }
  at::Tensor gradient() const { return source->gradient(index); }
  bool trainable() const { return source->trains(index); }
};

}  // namespace txtsum::ops
