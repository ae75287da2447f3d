#pragma once

#include <string>
#include <vector>

#include "txtsum/train/optimizer.h"

namespace txtsum::train {

/// Adafactor (Shazeer and Stern 2018, arXiv:1804.04235) with the semantics of transformers.optimization.Adafactor,
/// which factors the second moment over the last two dimensions of a parameter: all of it must be in the space.
class AdafactorOptimizer final : public Optimizer {
 public:
  /// `masters`: see initial_masters.
  AdafactorOptimizer(const config::OptimizerConfig& config, const UpdateSpace& space, at::Tensor masters);

  void step(const StepScalars& scalars) override;
  double effective_learning_rate(const StepScalars& scalars) const override;
  const at::Tensor& masters() const override { return masters_; }
  std::vector<StatePart> state() override;

 private:
  /// What one parameter keeps. Tensors that its shape or the config has no use for are undefined.
  struct Slot {
    SpacePiece piece;
    at::Tensor first_moment;   ///< The parameter's shape; with beta1.
    at::Tensor row_square;     ///< Without the last dimension; for two or more dimensions.
    at::Tensor column_square;  ///< Without the last but one; for two or more dimensions.
    at::Tensor square;         ///< The parameter's shape; for one dimension.
  };

  void step_parameter(Slot& slot, const StepScalars& scalars);
  at::Tensor scaled_gradient(Slot& slot, const at::Tensor& gradient, int64_t update) const;

  config::OptimizerConfig config_;
  at::Tensor masters_;
  std::vector<Slot> slots_;
};

}  // namespace txtsum::train
