#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "txtsum/ops/adamw_update.h"
#include "txtsum/ops/offloaded_update.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::train {

/// AdamW: two fp32 moments, and fp32 masters beside narrower working weights. Of an offloaded space they lie in host
/// memory, and the CPU makes the updates.
class AdamWOptimizer final : public Optimizer {
 public:
  /// `masters`: see initial_masters.
  AdamWOptimizer(const config::OptimizerConfig& config, const UpdateSpace& space, at::Tensor masters);

  void step(const StepScalars& scalars) override;
  /// The same of numbers that are made already; where it is offloaded, with marks of gradients that are on their way.
  void update(const ops::AdamWScalars& scalars, const std::vector<ops::GradientMark>& marks = {});
  bool is_offloaded() const { return offloaded_ != nullptr; }
  /// What an update reads and writes.
  ops::AdamWTensors tensors() const;
  /// The numbers of one update.
  ops::AdamWScalars scalars(const StepScalars& step) const;
  const at::Tensor& masters() const override { return masters_; }
  std::vector<StatePart> state() override;
  std::vector<std::pair<std::string, at::Tensor>> moments() const override {
    return {{"exp_avg", first_moment_}, {"exp_avg_sq", second_moment_}};
  }

 private:
  config::OptimizerConfig config_;
  at::Tensor masters_, first_moment_, second_moment_;
  std::unique_ptr<ops::OffloadedUpdate> offloaded_;
};

}  // namespace txtsum::train
