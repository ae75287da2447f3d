#include "txtsum/train/state_bytes.h"

#include <cstddef>

namespace txtsum::train {
namespace {

constexpr int64_t kFloatBytes = 4;

/// Elements of the second moment that Adafactor keeps: of two or more dimensions a row's and a column's means.
int64_t factored_elements(const model::ArenaEntry& entry) {
  const std::vector<int64_t>& shape = entry.shape;
  if (shape.size() < 2) return entry.numel;
  const int64_t last = shape.back(), last_but_one = shape[shape.size() - 2];
  return entry.numel / last + entry.numel / last_but_one;
}

}  // namespace

StateBytes& StateBytes::operator+=(const StateBytes& other) {
  gradients += other.gradients;
  masters += other.masters;
  moments += other.moments;
  return *this;
}

at::ScalarType gradient_type(const model::Arena& arena, BatchSource& batches) {
  return arena.dtype() != at::kFloat && batches.one_micro_batch() ? arena.dtype() : at::kFloat;
}

StateBytes state_bytes(const model::ArenaEntry& entry, const config::OptimizerConfig& optimizer,
                       const StateTypes& types) {
  StateBytes bytes;
  bytes.gradients = entry.numel * static_cast<int64_t>(c10::elementSize(types.gradients));
  if (types.weights != at::kFloat) bytes.masters = entry.numel * kFloatBytes;
  const int64_t first = optimizer.beta1 ? entry.numel : 0;
  const bool factors = optimizer.name == config::OptimizerName::kAdafactor;
  bytes.moments = (first + (factors ? factored_elements(entry) : entry.numel)) * kFloatBytes;
  return bytes;
}

int64_t elements_without_states(const model::ArenaLayout& layout) {
  int64_t elements = 0;
  for (const model::ArenaEntry& entry : layout.entries()) elements += entry.in_trainable_range ? 0 : entry.numel;
  return elements;
}

int64_t elements_not_sent(const model::ArenaLayout& layout, const config::ParallelConfig& parallel, int64_t world) {
  // A sum over ranks sends (n - 1) / n of its elements, and so does handing its parts round.
  const int64_t rounds = parallel.zero_stage < 3 ? 2 : 1;
  return rounds * (elements_without_states(layout) * (world - 1) / world);
}

}  // namespace txtsum::train
