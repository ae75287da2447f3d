#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;
class Complaints;

enum class ScheduleName { kLinear, kCosine, kConstant, kInverseSqrt };
inline std::vector<std::string_view> choice_names(ScheduleName) {
  return {"linear", "cosine", "constant", "inverse_sqrt"};
}

/// Section `schedule`: the learning rate over the share of training that is done (see TrainConfig).
struct ScheduleConfig {
  ScheduleName name = ScheduleName::kLinear;
  std::optional<int64_t>
      warmup_updates;                  ///< Linear warm-up from 0 to the peak; complete() sets 0 where neither is set.
  std::optional<double> warmup_share;  ///< Or: as a share of the whole training.
  double minimum_share = 0.0;          ///< linear, cosine: last learning rate as a share of the peak.

  /// Sets warmup_updates to 0 where neither warm-up key is set.
  void complete();
  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
