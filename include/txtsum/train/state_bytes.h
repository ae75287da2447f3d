#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

#include "txtsum/config/optimizer_config.h"
#include "txtsum/config/parallel_config.h"
#include "txtsum/model/arena.h"
#include "txtsum/train/batch_source.h"

namespace txtsum::train {

/// Bytes that training keeps beside the weights, where they are not spread over ranks; alignment apart.
struct StateBytes {
  int64_t gradients = 0, masters = 0, moments = 0;

  int64_t total() const { return gradients + masters + moments; }
  StateBytes& operator+=(const StateBytes& other);
};

/// Types that decide them.
struct StateTypes {
  at::ScalarType weights = at::kFloat, gradients = at::kFloat;
};

/// Type of the gradients: the working weights' where every update is one micro-batch, else fp32.
at::ScalarType gradient_type(const model::Arena& arena, BatchSource& batches);

/// Of one parameter, if it learns; `optimizer` is completed.
StateBytes state_bytes(const model::ArenaEntry& entry, const config::OptimizerConfig& optimizer,
                       const StateTypes& types);

/// Elements of the parameters that have neither gradient nor state.
int64_t elements_without_states(const model::ArenaLayout& layout);

/// Elements that a rank of `world` does not send in an update of one micro-batch because no gradient (and in stages 0
/// to 2 no updated weight) of the parameters without states goes round.
int64_t elements_not_sent(const model::ArenaLayout& layout, const config::ParallelConfig& parallel, int64_t world);

}  // namespace txtsum::train
