#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

#include "txtsum/config/optimizer_config.h"
#include "txtsum/config/parallel_config.h"
#include "txtsum/model/arena.h"

namespace txtsum::train {

struct StateSetting {
  int64_t stage = 0;  ///< parallel.zero_stage
  int64_t ranks = 1;
  config::Offload offload = config::Offload::kNone;  ///< kOptimizerAndParameters in stage 3 alone.
  at::ScalarType weights = at::kFloat;
  at::ScalarType gradients = at::kFloat;
};

/// Bytes of what a rank keeps through a training; all ranks keep the same.
struct RankStates {
  // On the device:
  int64_t weights = 0, gradients = 0, masters = 0, moments = 0;
  int64_t weight_slots = 0, gradient_slots = 0;  ///< For blocks that come and go, and block 0's.
  int64_t host = 0;                              ///< In pinned host memory.

  int64_t slots() const { return weight_slots + gradient_slots; }
  int64_t device() const { return weights + gradients + masters + moments + slots(); }
};

/// What Sharding and the optimizer would hold, from the layout alone. Adafactor takes stage 0 and no offload.
RankStates plan_states(const model::ArenaLayout& layout, const config::OptimizerConfig& optimizer,
                       const StateSetting& setting);

}  // namespace txtsum::train
