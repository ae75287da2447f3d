#pragma once

#include <cstdint>

namespace txtsum::config {

class FieldVisitor;

/// Section `parallel`: what each rank keeps (ZeRO, Rajbhandari et al. 2020).
struct ParallelConfig {
  int64_t zero_stage = 0;  ///< 1: a share of the optimizer's state; 2: and of the gradients; 3: and of the weights.

  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
