#include "update_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "adamw_optimizer.h"
#include "device_update_step.h"
#include "host_update_step.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/train/recompute_scope.h"

namespace txtsum::train {
namespace {

/// Examples that an error names before it says how many more there are.
constexpr size_t kNamedExamples = 8;

}  // namespace

std::unique_ptr<UpdateStep> make_update_step(const UpdateParts& parts) {
  model::Arena& arena = parts.model.arena();
  const bool narrow = arena.dtype() != at::kFloat && parts.batches.one_micro_batch();
  arena.allocate_gradients(narrow ? arena.dtype() : at::kFloat);
  if (arena.values().is_cuda()) {
    if (auto* adamw = dynamic_cast<AdamWOptimizer*>(&parts.optimizer)) {
      return std::make_unique<DeviceUpdateStep>(parts, *adamw);
    }
  }
  TXTSUM_CHECK(arena.dtype() != at::kHalf, "fp16 has its loss scale on a GPU, with AdamW");
  return make_plain_update_step(parts);
}

std::unique_ptr<UpdateStep> make_plain_update_step(const UpdateParts& parts) {
  if (!parts.model.arena().gradients().defined()) parts.model.arena().allocate_gradients(at::kFloat);
  return std::make_unique<HostUpdateStep>(parts);
}

std::unique_ptr<ops::BlockScope> make_block_scope(const UpdateParts& parts) {
  if (parts.config.recompute != config::Recompute::kBlocks) return nullptr;
  // Of all masks only those of attention's probabilities on a GPU are drawn from a generator.
  const bool draws = parts.model.arena().values().is_cuda() && parts.model.facts().drops_probabilities;
  return std::make_unique<RecomputeScope>(parts.model.arena().layout(), draws);
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
      "); nothing was updated. Lower optimizer.learning_rate, set schedule.warmup_updates or a smaller "
      "train.clip_norm, or train with train.precision=fp32; checkpoints of earlier updates are whole");
}

}  // namespace txtsum::train
