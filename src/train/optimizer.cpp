#include "txtsum/train/optimizer.h"

#include <ATen/ATen.h>

#include "adafactor_optimizer.h"
#include "adamw_optimizer.h"
#include "txtsum/core/check.h"
#include "txtsum/ops/host_memory.h"

namespace txtsum::train {
namespace {

/// The fp32 weights that the optimizer changes: the working weights themselves, or a copy beside narrower ones, or
/// beside those of a GPU.
at::Tensor initial_masters(const UpdateSpace& space, const at::Tensor& source) {
  const at::Tensor& working = space.working;
  if (source.defined()) {
    TXTSUM_CHECK(source.scalar_type() == at::kFloat && source.dim() == 1 && source.numel() == space.numel,
                 "masters of ", space.numel, " elements, found ", source.numel());
    working.copy_(source);
  }
  if (working_is_master(space)) return working;
  const at::Tensor masters = state_zeros(space);
  return masters.copy_(source.defined() ? source : working);
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

bool working_is_master(const UpdateSpace& space) {
  return space.working.scalar_type() == at::kFloat && space.offload != config::Offload::kOptimizer;
}

at::Tensor state_zeros(const UpdateSpace& space) {
  if (space.offload != config::Offload::kNone) {
    return ops::host_zeros(space.numel, at::kFloat, space.gradients.device());
  }
  return at::zeros({space.numel}, space.working.options().dtype(at::kFloat));
}

void Optimizer::publish_masters() {
  if (!working_is_master(space_)) space_.working.copy_(masters());
}

std::unique_ptr<Optimizer> make_optimizer(const config::OptimizerConfig& config, const UpdateSpace& space,
                                          const at::Tensor& masters) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = initial_masters(space, masters);
  switch (config.name) {
    case config::OptimizerName::kAdamW:
      return std::make_unique<AdamWOptimizer>(config, space, values);
    case config::OptimizerName::kAdafactor:
      TXTSUM_CHECK(space.offload == config::Offload::kNone, "adafactor's state stays");
      return std::make_unique<AdafactorOptimizer>(config, space, values);
  }
  TXTSUM_CHECK(false, "optimizer ", static_cast<int>(config.name));
  return nullptr;
}

}  // namespace txtsum::train
