#include "txtsum/train/optimizer.h"

#include <ATen/ATen.h>

#include "adafactor_optimizer.h"
#include "adamw_optimizer.h"
#include "txtsum/core/check.h"

namespace txtsum::train {
namespace {

/// The fp32 weights that the optimizer changes: the working weights themselves, or a copy beside bf16 ones.
at::Tensor initial_masters(const UpdateSpace& space, const at::Tensor& source) {
  const at::Tensor& working = space.working;
  if (source.defined()) {
    TXTSUM_CHECK(source.scalar_type() == at::kFloat && source.dim() == 1 && source.numel() == space.numel,
                 "masters of ", space.numel, " elements, found ", source.numel());
    working.copy_(source);
  }
  if (working.scalar_type() == at::kFloat) return working;
  return source.defined() ? source.to(working.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true)
                          : working.to(at::kFloat);
}

}  // namespace

UpdateSpace whole_space(const model::Arena& arena) {
  const model::ArenaLayout& layout = arena.layout();
  UpdateSpace space;
  space.numel = layout.trainable_numel();
  space.working = arena.values().narrow(0, 0, space.numel);
  space.gradients = arena.gradients();
  for (const model::UpdateRange& range : layout.update_ranges()) {
    space.spans.push_back({range.begin, range.end, range.decay, range.frozen});
  }
  for (const model::ArenaEntry& entry : layout.entries()) {
    if (entry.in_trainable_range) space.pieces.push_back({&entry, 0, entry.numel, entry.offset});
  }
  return space;
}

void Optimizer::publish_masters() {
  if (space_.working.scalar_type() != at::kFloat) space_.working.copy_(masters());
}

std::unique_ptr<Optimizer> make_optimizer(const config::OptimizerConfig& config, const UpdateSpace& space,
                                          const at::Tensor& masters) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = initial_masters(space, masters);
  switch (config.name) {
    case config::OptimizerName::kAdamW:
      return std::make_unique<AdamWOptimizer>(config, space, values);
    case config::OptimizerName::kAdafactor:
      return std::make_unique<AdafactorOptimizer>(config, space, values);
  }
  TXTSUM_CHECK(false, "optimizer ", static_cast<int>(config.name));
  return nullptr;
}

}  // namespace txtsum::train
