#include "adamw_optimizer.h"

#include <ATen/ATen.h>

#include <utility>

namespace txtsum::train {

std::vector<ops::UpdateSpan> update_spans(const model::ArenaLayout& layout) {
  std::vector<ops::UpdateSpan> spans;
  for (const model::UpdateRange& range : layout.update_ranges()) {
    spans.push_back({range.begin, range.end, range.decay, range.frozen});
  }
  return spans;
}

AdamWOptimizer::AdamWOptimizer(const config::OptimizerConfig& config, model::Arena& arena, at::Tensor masters)
    : Optimizer(arena),
      config_(config),
      spans_(update_spans(arena.layout())),
      masters_(std::move(masters)),
      first_moment_(at::zeros_like(masters_)),
      second_moment_(at::zeros_like(masters_)) {}

void AdamWOptimizer::step(const StepScalars& step) { ops::adamw_update(tensors(), spans_, scalars(step)); }

ops::AdamWTensors AdamWOptimizer::tensors() const {
  ops::AdamWTensors tensors;
  tensors.masters = masters_;
  tensors.gradients = arena_.gradients();
  tensors.first_moment = first_moment_;
  tensors.second_moment = second_moment_;
  if (arena_.dtype() != at::kFloat) tensors.working = arena_.values();
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

NamedState AdamWOptimizer::state() {
  NamedState state;
  for (const model::ArenaEntry& entry : arena_.layout().entries()) {
    if (!entry.in_trainable_range || entry.frozen) continue;
    state.emplace_back("exp_avg/" + entry.name, model::Arena::entry_of(first_moment_, entry));
    state.emplace_back("exp_avg_sq/" + entry.name, model::Arena::entry_of(second_moment_, entry));
  }
  return state;
}

}  // namespace txtsum::train
