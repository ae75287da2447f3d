#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;
class Complaints;

/// What makes one validation better than another. Loss: less is better; ROUGE: more is.
enum class BestMetric { kNone, kLoss, kRouge1, kRouge2, kRougeL, kRougeLsum };
inline std::vector<std::string_view> choice_names(BestMetric) {
  return {"none", "loss", "rouge1", "rouge2", "rougeL", "rougeLsum"};
}

/// How a finished checkpoint gets its final name; io::PublishMode.
enum class Publish { kRename, kInPlace };
inline std::vector<std::string_view> choice_names(Publish) { return {"rename", "in_place"}; }

/// Section `checkpoint`: when a step's folder is written and which ones stay.
/// A validation that is the best so far writes one too, whatever the period; it is never deleted by keep_last.
struct CheckpointConfig {
  std::optional<int64_t> every_updates;        ///< Period in updates.
  std::optional<double> every_epochs;          ///< Or: in epochs; complete() sets 1 where neither is set.
  std::optional<int64_t> keep_last = 2;        ///< Newest N stay; unset (null): all.
  BestMetric best_metric = BestMetric::kNone;  ///< kNone: the finished model is the last one.
  bool optimizer_state = true;                 ///< Without it a step's folder cannot be resumed from.

  Publish publish = Publish::kRename;  ///< kInPlace for mounts that cannot rename or append (Azure's blobs).

  /// Sets every_epochs to 1 where neither period is set.
  void complete();
  void describe(FieldVisitor& visitor);
};

/// Section `early_stopping`: ends training when checkpoint.best_metric has stopped getting better.
struct EarlyStoppingConfig {
  std::optional<int64_t> patience;  ///< Validations without a better one before training ends; unset: off.
  double threshold = 0.0;           ///< By how much a metric must be better to count (ROUGE in points of 100).

  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
