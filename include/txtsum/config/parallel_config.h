#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace txtsum::config {

class Complaints;
class FieldVisitor;

/// What a training on a GPU keeps in host memory (ZeRO-Offload, Ren et al. 2021).
enum class Offload {
  kNone,
  kOptimizer,              ///< Masters and moments; the CPU makes the updates.
  kOptimizerAndParameters  ///< And the rank's shards of the weights.
};
inline std::vector<std::string_view> choice_names(Offload) { return {"none", "optimizer", "optimizer_and_parameters"}; }

/// Section `parallel`: what each rank keeps (ZeRO, Rajbhandari et al. 2020), and where.
struct ParallelConfig {
  int64_t zero_stage = 0;  ///< 1: a share of the optimizer's state; 2: and of the gradients; 3: and of the weights.
  Offload offload = Offload::kNone;

  void check(Complaints& complaints) const;
  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
