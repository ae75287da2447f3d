#include "txtsum/train/optimizer.h"

#include <ATen/ATen.h>

#include "adafactor_optimizer.h"
#include "adamw_optimizer.h"
#include "txtsum/core/check.h"

namespace txtsum::train {
namespace {

/// The fp32 weights that the optimizer changes: the working weights themselves, or a copy beside bf16 ones.
at::Tensor initial_masters(model::Arena& arena, const at::Tensor& source) {
  const at::Tensor working = arena.values().narrow(0, 0, arena.layout().trainable_numel());
  if (source.defined()) {
    TXTSUM_CHECK(source.scalar_type() == at::kFloat && source.dim() == 1 && source.numel() == working.numel(),
                 "masters of the trainable range, found ", source.numel(), " elements, wanted ", working.numel());
    working.copy_(source);
  }
  if (arena.dtype() == at::kFloat) return working;
  return source.defined() ? source.to(working.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true)
                          : working.to(at::kFloat);
}

}  // namespace

void Optimizer::publish_masters() {
  if (arena_.dtype() == at::kFloat) return;
  arena_.values().narrow(0, 0, arena_.layout().trainable_numel()).copy_(masters());
}

std::unique_ptr<Optimizer> make_optimizer(const config::OptimizerConfig& config, model::Arena& arena,
                                          const at::Tensor& masters) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = initial_masters(arena, masters);
  switch (config.name) {
    case config::OptimizerName::kAdamW:
      return std::make_unique<AdamWOptimizer>(config, arena, values);
    case config::OptimizerName::kAdafactor:
      return std::make_unique<AdafactorOptimizer>(config, arena, values);
  }
  TXTSUM_CHECK(false, "optimizer ", static_cast<int>(config.name));
  return nullptr;
}

}  // namespace txtsum::train
