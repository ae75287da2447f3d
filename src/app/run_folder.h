#pragma once

#include <functional>
#include <string>
#include <vector>

#include "txtsum/config/checkpoint_config.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/io/publish_mode.h"

namespace txtsum::app {

/// Names inside a run's folder (docs/checkpoint_format.md).
inline constexpr const char* kConfigFile = "config.yaml";
inline constexpr const char* kEnvironmentFile = "environment.json";
inline constexpr const char* kLogFile = "log.txt";
inline constexpr const char* kStepsFile = "steps.jsonl";
inline constexpr const char* kPredictionsFile = "predictions.jsonl";
/// Summaries of a generation that is not finished.
inline constexpr const char* kPartialFile = "predictions.partial.jsonl";
inline constexpr const char* kGeneratedTextFile = "generated_predictions.txt";
inline constexpr const char* kReportFile = "report.json";
/// What `txtsum report` writes on one run, and on several.
inline constexpr const char* kPageFile = "report.html";
inline constexpr const char* kSeveralPageFile = "comparison.html";
inline constexpr const char* kTraceFile = "trace.json";
inline constexpr const char* kTrainerStateFile = "trainer_state.json";
inline constexpr const char* kEmissionsFile = "emissions.csv";
inline constexpr const char* kAttemptsFolder = "attempts";
inline constexpr const char* kCheckpointsFolder = "checkpoints";
inline constexpr const char* kModelFolder = "model";
inline constexpr const char* kTensorboardFolder = "tensorboard";
/// The resolved config inside a step's folder, for the comparison at a resume.
inline constexpr const char* kStepConfigFile = "txtsum_config.yaml";

/// checkpoint.publish in io's words.
io::PublishMode publish_mode(config::Publish publish);

/// The folder that a command writes into. Files that grow (log, steps, events) are written to `live()`, which is the
/// folder itself, or, where its mount cannot append, a temporary folder that `publish_live` copies from.
class RunFolder {
 public:
  /// Makes the folder and starts its log. Throws DataError.
  RunFolder(std::string path, config::Publish publish);
  /// Publishes what is live, as far as it can be.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// Where the growing file `name` is to be written.
  std::string live(const std::string& name) const { return live_ + "/" + name; }
  io::PublishMode publish_mode() const { return mode_; }
  /// Copies live files into the folder; nothing to do where they are written there. Throws DataError.
  void publish_live() const;
  /// Deletes a file that grew, and its copies.
  void remove_growing(const std::string& name) const;

 private:
  std::string path_;
  io::PublishMode mode_;
  std::string live_;
};

/// What a training in a folder is to do.
struct RunStart {
  std::string resume_from;  ///< Step folder to continue from; empty: start anew.
};

/// Settles run.resume and run.overwrite against what is in the output folder, which is no finished training; deletes a
/// former run where that was asked for. Throws UserError, with the keys that differ, where a former run would have to
/// be overwritten or is of another config.
RunStart plan_start(const config::ExperimentConfig& config);

/// Whether the output folder holds the whole training of `config` already, where run.resume is `auto`. Writes nothing:
/// the folder may be read-only.
bool holds_finished_training(const config::ExperimentConfig& config);

/// Whether `folder` holds work of a run: checkpoints, a finished model or summaries.
bool holds_run(const std::string& folder);

/// Deletes what a run left in `folder`; other files stay. Throws DataError.
void remove_run(const std::string& folder);

}  // namespace txtsum::app
