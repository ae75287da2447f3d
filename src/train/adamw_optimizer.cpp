#include "adamw_optimizer.h"

#include <ATen/ATen.h>

#include <utility>

namespace txtsum::train {

AdamWOptimizer::AdamWOptimizer(const config::OptimizerConfig& config, const UpdateSpace& space, at::Tensor masters)
    : Optimizer(space),
      config_(config),
      masters_(std::move(masters)),
      first_moment_(state_zeros(space)),
      second_moment_(state_zeros(space)) {
  if (space.offload == config::Offload::kNone) return;
  offloaded_ = std::make_unique<ops::OffloadedUpdate>(space.spans, space.gradients.device(),
                                                      space.gradients.scalar_type(), space.working.scalar_type());
}

void AdamWOptimizer::step(const StepScalars& step) { update(scalars(step)); }

void AdamWOptimizer::update(const ops::AdamWScalars& scalars, const std::vector<ops::GradientMark>& marks) {
  ops::AdamWTensors all = tensors();
  if (!offloaded_) return ops::adamw_update(all, space_.spans, scalars);
  at::Tensor on_device;
  if (space_.offload == config::Offload::kOptimizer) on_device = std::exchange(all.working, {});
  offloaded_->run(all, on_device, scalars, marks);
}

ops::AdamWTensors AdamWOptimizer::tensors() const {
  ops::AdamWTensors tensors;
  tensors.masters = masters_;
  tensors.gradients = space_.gradients;
  tensors.first_moment = first_moment_;
  tensors.second_moment = second_moment_;
  if (!working_is_master(space_)) tensors.working = space_.working;
  return tensors;
}

ops::AdamWScalars AdamWOptimizer::scalars(const StepScalars& step) const {
  ops::AdamWScalars numbers;
  numbers.learning_rate = step.learning_rate;
  numbers.beta1 = *config_.beta1;
  numbers.beta2 = config_.beta2;
  numbers.epsilon = config_.epsilon;
  numbers.weight_decay = config_.weight_decay;
  numbers.update = step.update;
  numbers.gradient_factor = step.gradient_factor;
  return numbers;
}

std::vector<StatePart> AdamWOptimizer::state() {
  std::vector<StatePart> state;
  for (const SpacePiece& piece : space_.pieces) {
    if (piece.entry->frozen) continue;
    const auto add = [&](const char* kind, const at::Tensor& moment) {
      state.push_back({kind + ("/" + piece.entry->name), piece.entry->shape, piece.begin,
                       moment.narrow(0, piece.local, piece.numel)});
    };
    add("exp_avg", first_moment_);
    add("exp_avg_sq", second_moment_);
  }
  return state;
}

}  // namespace txtsum::train
