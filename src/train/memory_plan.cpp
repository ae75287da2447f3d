#include "txtsum/train/memory_plan.h"

#include <utility>

#include "sharding.h"
#include "txtsum/core/check.h"
#include "txtsum/train/state_bytes.h"

namespace txtsum::train {
namespace {

constexpr int64_t kFloatBytes = 4;

/// Of state that is kept parameter by parameter.
int64_t moment_bytes(const model::ArenaLayout& layout, const config::OptimizerConfig& optimizer) {
  int64_t bytes = 0;
  for (const model::ArenaEntry& entry : layout.entries()) {
    if (entry.in_trainable_range && !entry.frozen) bytes += state_bytes(entry, optimizer, {}).moments;
  }
  return bytes;
}

}  // namespace

RankStates plan_states(const model::ArenaLayout& layout, const config::OptimizerConfig& optimizer,
                       const StateSetting& setting) {
  const bool factored = optimizer.name == config::OptimizerName::kAdafactor;
  const bool moves_optimizer = setting.offload != config::Offload::kNone;
  const bool moves_weights = setting.offload == config::Offload::kOptimizerAndParameters;
  TXTSUM_CHECK(!factored || (setting.stage == 0 && !moves_optimizer), "adafactor's state is not shared out");
  TXTSUM_CHECK(!moves_weights || setting.stage == 3, setting.stage);
  const int64_t w = static_cast<int64_t>(c10::elementSize(setting.weights)),
                g = static_cast<int64_t>(c10::elementSize(setting.gradients));
  const auto shard = [&](bool trainable) {
    return shard_plan_of(layout, setting.weights, /*rank=*/0, setting.ranks, trainable).shard_numel();
  };
  const int64_t trainable = layout.trainable_numel(), part = shard(true);
  const int64_t updated = setting.stage == 0 ? trainable : part;  // what the optimizer has
  const model::ArenaRange of_block_0 = layout.block_range(0, true), frozen_of_block_0 = layout.block_range(0, false);

  RankStates bytes;
  bytes.gradients = setting.stage < 2 ? g * trainable : 0;
  // A rank's part of the sums stands beside its gradients.
  if (setting.stage > 0 || setting.ranks > 1) bytes.gradients += g * part;
  if (setting.stage >= 2) bytes.gradient_slots = g * (of_block_0.numel() + 2 * largest_block(layout, false));

  const int64_t working_part = setting.stage > 0 ? w * part : 0;
  bytes.weights = working_part + (setting.stage < 3 ? w * layout.total_numel() : w * shard(false));
  if (setting.stage == 3) {
    bytes.weight_slots =
        w * (of_block_0.numel() + frozen_of_block_0.numel() + 3 * largest_block(layout, /*with_frozen=*/true));
  }
  // fp32 weights are the masters, unless one of the two lies in host memory.
  const bool has_masters = setting.weights != at::kFloat || (moves_optimizer && !moves_weights);
  bytes.masters = has_masters ? kFloatBytes * updated : 0;
  bytes.moments = factored ? moment_bytes(layout, optimizer) : kFloatBytes * 2 * updated;
  if (moves_optimizer) bytes.host += std::exchange(bytes.masters, 0) + std::exchange(bytes.moments, 0);
  if (moves_weights) bytes.host += std::exchange(bytes.weights, 0);
  return bytes;
}

}  // namespace txtsum::train
