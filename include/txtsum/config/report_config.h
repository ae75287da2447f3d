#pragma once

#include <cstdint>
#include <optional>

namespace txtsum::config {

class FieldVisitor;

/// Section `report`: which loggers follow the run besides its own files.
struct ReportConfig {
  bool tensorboard = true;     ///< Event files under tensorboard/ in the run folder.
  std::optional<bool> mlflow;  ///< Unset: on where MLFLOW_TRACKING_URI is set.
  int64_t trace_updates = 0;   ///< Updates that a trace of every operation and kernel is written of.
  int64_t trace_from = 20;     ///< The first of them, counted within the attempt.

  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
