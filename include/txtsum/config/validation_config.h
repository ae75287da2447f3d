#pragma once

#include <cstdint>
#include <optional>

namespace txtsum::config {

class FieldVisitor;
class Complaints;

/// Section `validation`: what is measured on data.validation while training, and how often.
struct ValidationConfig {
  bool loss = true;                               ///< Mean loss a target token.
  bool generate = true;                           ///< ROUGE of generated summaries.
  std::optional<int64_t> every_updates;           ///< Period in updates.
  std::optional<double> every_epochs;             ///< Or: in epochs; complete() sets 1 where neither is set.
  bool on_start = false;                          ///< Also before the first update.
  std::optional<int64_t> max_generated_examples;  ///< First N of the split are summarized; unset: all.
  std::optional<int64_t> beams;                   ///< Unset: generation.beams.

  /// Sets every_epochs to 1 where neither period is set.
  void complete();
  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
