#include "update_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "adamw_optimizer.h"
#include "device_update_step.h"
#include "host_update_step.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/train/training_scope.h"

namespace txtsum::train {
namespace {

/// Examples that an error names before it says how many more there are.
constexpr size_t kNamedExamples = 8;

}  // namespace

std::unique_ptr<UpdateStep> make_update_step(const UpdateParts& parts) {
  const model::Arena& arena = parts.model.arena();
  if (arena.device().is_cuda()) {
    if (auto* adamw = dynamic_cast<AdamWOptimizer*>(&parts.optimizer)) {
      if (DeviceUpdateStep::goes_along(parts, *adamw)) parts.sharding.mark_gradients();
      return std::make_unique<DeviceUpdateStep>(parts, *adamw);
    }
  }
  TXTSUM_CHECK(arena.dtype() != at::kHalf, "fp16 has its loss scale on a GPU, with AdamW");
  return make_plain_update_step(parts);
}

std::unique_ptr<UpdateStep> make_plain_update_step(const UpdateParts& parts) {
  return std::make_unique<HostUpdateStep>(parts);
}

std::unique_ptr<ops::BlockScope> make_block_scope(const UpdateParts& parts) {
  TrainingScopeOptions options;
  options.recompute = parts.config.recompute == config::Recompute::kBlocks;
  options.hooks = parts.sharding.hooks();
  if (!options.recompute && options.hooks == nullptr) return nullptr;
  // Of all masks only those of attention's probabilities on a GPU are drawn from a generator.
  options.draws = parts.model.arena().device().is_cuda() && parts.model.facts().drops_probabilities;
  return std::make_unique<TrainingScope>(parts.model.arena().layout(), options);
}

void refuse_update(const BatchSource& batches, const BadUpdate& bad) {
  std::string names;
  for (size_t i = 0; i < std::min(bad.examples.size(), kNamedExamples); ++i) {
    names += (i > 0 ? ", " : "") + batches.describe_example(bad.examples[i]);
  }
  if (bad.examples.size() > kNamedExamples) {
    names += " and " + std::to_string(bad.examples.size() - kNamedExamples) + " more";
  }
  throw core::DataError(
      "update " + std::to_string(bad.update) + ": " + bad.what + " is " + std::to_string(bad.value) +
      (bad.block.empty() ? "" : ", not finite first in " + bad.block) + " (examples " + names +
      "); nothing of it was saved. Lower optimizer.learning_rate, set schedule.warmup_updates or a smaller "
      "train.clip_norm, or train with train.precision=fp32; checkpoints of earlier updates are whole");
}

}  // namespace txtsum::train
