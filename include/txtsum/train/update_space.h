#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "txtsum/config/parallel_config.h"
#include "txtsum/model/arena.h"
#include "txtsum/ops/adamw_update.h"

namespace txtsum::train {

/// A stretch of one parameter in an update space.
struct SpacePiece {
  const model::ArenaEntry* entry = nullptr;
  int64_t begin = 0;  ///< First element of the parameter, in row-major order.
  int64_t numel = 0;
  int64_t local = 0;  ///< Where it lies in the space.

  bool whole() const { return numel == entry->numel; }
};

/// What an optimizer updates: the trainable range of an arena, or the part of it that this rank has. All tensors are
/// 1-D and laid out alike.
struct UpdateSpace {
  int64_t numel = 0;
  at::Tensor working;                  ///< Weights in the model's type. In fp32 they are the masters themselves, unless
                                       ///< those lie elsewhere.
  at::Tensor gradients;                ///< Sums over ranks, when an update is made; may be defined later than the rest.
  std::vector<ops::UpdateSpan> spans;  ///< Covers [0, numel) without holes; what belongs to no parameter is frozen.
  std::vector<SpacePiece> pieces;      ///< Of all parameters that have a gradient, ascending.
  /// What lies in host memory: masters and moments, and `working` too.
  config::Offload offload = config::Offload::kNone;
};

/// The whole trainable range of `arena`.
UpdateSpace whole_space(const model::Arena& arena);

/// Whether the working weights are the masters themselves.
bool working_is_master(const UpdateSpace& space);

/// Zeros for a part of the optimizer's state: fp32, laid out like the space, where its state lies.
at::Tensor state_zeros(const UpdateSpace& space);

}  // namespace txtsum::train
