#include "adafactor_optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "txtsum/core/check.h"

namespace txtsum::train {
namespace {

double root_mean_square(const at::Tensor& tensor) {
  return tensor.norm(2).item<double>() / std::sqrt(static_cast<double>(tensor.numel()));
}

}  // namespace

AdafactorOptimizer::AdafactorOptimizer(const config::OptimizerConfig& config, const UpdateSpace& space,
                                       at::Tensor masters)
    : Optimizer(space), config_(config), masters_(std::move(masters)) {
  for (const SpacePiece& piece : space.pieces) {
    const model::ArenaEntry& entry = *piece.entry;
    if (entry.frozen) continue;
    TXTSUM_CHECK(piece.whole(), entry.name);
    Slot slot;
    slot.piece = piece;
    if (config_.beta1) slot.first_moment = at::zeros(entry.shape, masters_.options());
    if (entry.shape.size() >= 2) {
      std::vector<int64_t> without_last(entry.shape.begin(), entry.shape.end() - 1);
      std::vector<int64_t> without_last_but_one(entry.shape.begin(), entry.shape.end() - 2);
      without_last_but_one.push_back(entry.shape.back());
      slot.row_square = at::zeros(without_last, masters_.options());
      slot.column_square = at::zeros(without_last_but_one, masters_.options());
    } else {
      slot.square = at::zeros(entry.shape, masters_.options());
    }
    slots_.push_back(std::move(slot));
  }
}

double AdafactorOptimizer::effective_learning_rate(const StepScalars& scalars) const {
  if (!config_.relative_step) return scalars.learning_rate;
  const double update = static_cast<double>(scalars.update);
  return std::min(config_.warmup_init ? 1e-6 * update : 1e-2, 1.0 / std::sqrt(update));
}

at::Tensor AdafactorOptimizer::scaled_gradient(Slot& slot, const at::Tensor& gradient, int64_t update) const {
  const double beta2 = 1.0 - std::pow(static_cast<double>(update), config_.decay_rate);
  const at::Tensor square = gradient * gradient + config_.factor_epsilon;
  if (slot.square.defined()) {
    slot.square.mul_(beta2).add_(square, 1.0 - beta2);
    return slot.square.rsqrt().mul_(gradient);
  }
  slot.row_square.mul_(beta2).add_(square.mean(-1), 1.0 - beta2);
  slot.column_square.mul_(beta2).add_(square.mean(-2), 1.0 - beta2);
  const at::Tensor row_factor = (slot.row_square / slot.row_square.mean(-1, /*keepdim=*/true)).rsqrt_().unsqueeze(-1);
  const at::Tensor column_factor = slot.column_square.unsqueeze(-2).rsqrt();
  return at::mul(row_factor, column_factor).mul_(gradient);
}

void AdafactorOptimizer::step_parameter(Slot& slot, const StepScalars& scalars) {
  const SpacePiece& piece = slot.piece;
  const auto values_in = [&](const at::Tensor& space) {
    return space.narrow(0, piece.local, piece.numel).view(piece.entry->shape);
  };
  const at::Tensor weight = values_in(masters_);
  const at::Tensor gradient = values_in(space_.gradients).to(at::kFloat) * scalars.gradient_factor;
  double rate = effective_learning_rate(scalars);
  if (config_.scale_parameter) rate *= std::max(config_.scale_epsilon, root_mean_square(weight));
  at::Tensor change = scaled_gradient(slot, gradient, scalars.update);
  change.div_(std::max(1.0, root_mean_square(change) / config_.clip_threshold)).mul_(rate);
  if (slot.first_moment.defined()) {
    slot.first_moment.mul_(*config_.beta1).add_(change, 1.0 - *config_.beta1);
    change = slot.first_moment;
  }
  if (config_.weight_decay != 0.0 && piece.entry->decay) weight.mul_(1.0 - config_.weight_decay * rate);
  weight.sub_(change);
}

void AdafactorOptimizer::step(const StepScalars& scalars) {
  const at::NoGradGuard no_grad;
  for (Slot& slot : slots_) step_parameter(slot, scalars);
  publish_masters();
}

std::vector<StatePart> AdafactorOptimizer::state() {
  std::vector<StatePart> state;
  const auto add = [&](const char* kind, const Slot& slot, const at::Tensor& tensor) {
    if (tensor.defined())
      state.push_back({kind + ("/" + slot.piece.entry->name), tensor.sizes().vec(), 0, tensor.view(-1)});
  };
  for (const Slot& slot : slots_) {
    add("exp_avg", slot, slot.first_moment);
    add("exp_avg_sq_row", slot, slot.row_square);
    add("exp_avg_sq_col", slot, slot.column_square);
    add("exp_avg_sq", slot, slot.square);
  }
  return state;
}

}  // namespace txtsum::train
