#pragma once

#include <vector>

#include "txtsum/ops/adamw_update.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::train {

/// The update table of a layout, as the operations take it.
std::vector<ops::UpdateSpan> update_spans(const model::ArenaLayout& layout);

/// AdamW over one arena: two fp32 moments, and fp32 masters where the working weights are bf16.
class AdamWOptimizer final : public Optimizer {
 public:
  /// `masters`: see initial_masters.
  AdamWOptimizer(const config::OptimizerConfig& config, model::Arena& arena, at::Tensor masters);

  void step(const StepScalars& scalars) override;
  /// What an update reads and writes.
  ops::AdamWTensors tensors() const;
  /// The numbers of one update.
  ops::AdamWScalars scalars(const StepScalars& step) const;
  const at::Tensor& masters() const override { return masters_; }
  NamedState state() override;

 private:
  config::OptimizerConfig config_;
  std::vector<ops::UpdateSpan> spans_;
  at::Tensor masters_, first_moment_, second_moment_;
};

}  // namespace txtsum::train
