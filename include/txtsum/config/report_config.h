#pragma once

#include <optional>

namespace txtsum::config {

class FieldVisitor;

/// Section `report`: which loggers follow the run besides its own files.
struct ReportConfig {
  bool tensorboard = true;     ///< Event files under tensorboard/ in the run folder.
  std::optional<bool> mlflow;  ///< Unset: on where MLFLOW_TRACKING_URI is set.

  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
