#pragma once

#include <optional>
#include <string>
#include <vector>

#include "txtsum/core/clock.h"
#include "txtsum/core/json.h"
#include "txtsum/train/checkpoint.h"
#include "txtsum/train/observer.h"

namespace txtsum::app {

/// Writes steps.jsonl: a line for each log record, validation and save, with `event` saying which.
class StepLog final : public train::TrainObserver {
 public:
  /// Keeps the lines of earlier attempts up to the state that a training goes on from (none: it starts) and drops those
  /// of work that is done again, so that no line is missing and none is there twice. Throws DataError.
  StepLog(std::string path, const std::optional<train::TrainingState>& resumed, const core::Clock& clock);

  void on_log(const train::LogRecord& record) override;
  void on_validation(const train::ValidationRecord& record) override;
  void on_save(const std::string& step_folder, int64_t update) override;

  /// All lines of the run so far.
  const std::vector<core::Json>& lines() const { return lines_; }

 private:
  void add(core::Json line);

  std::string path_;
  const core::Clock& clock_;
  std::vector<core::Json> lines_;
};

}  // namespace txtsum::app
