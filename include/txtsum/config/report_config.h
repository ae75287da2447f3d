#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txtsum::config {

class FieldVisitor;

/// Section `report`: which loggers follow the run besides its own files, and what the model's card cannot know.
struct ReportConfig {
  bool tensorboard = true;     ///< Event files under tensorboard/ in the run folder.
  std::optional<bool> mlflow;  ///< Unset: on where MLFLOW_TRACKING_URI is set.
  int64_t trace_updates = 0;   ///< Updates that a trace of every operation and kernel is written of.
  int64_t trace_from = 20;     ///< The first of them, counted within the attempt.

  std::vector<std::string> language;   ///< Of the texts, for the card.
  std::optional<std::string> dataset;  ///< Id on the Hub, for the card.

  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
