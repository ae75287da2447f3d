#include <filesystem>
#include <string>
#include <vector>

#include "app/run_folder.h"
#include "txtsum/config/dump.h"
#include "txtsum/config/load.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"
#include "txtsum/core/log.h"
#include "txtsum/io/checkpoint_folder.h"
#include "txtsum/metrics/attempt_record.h"
#include "txtsum/train/checkpoint.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShownDifferences = 12;

/// The keys that forbid `config` to continue what was trained with the config at `path`, a line each; empty where none
/// does.
std::string differences(const std::string& path, const config::ExperimentConfig& config) {
  const config::ExperimentConfig former = config::load_experiment(path);
  const std::vector<config::Difference> found = config::diff(former, config, config::DiffScope::kTraining);
  std::string text;
  for (size_t i = 0; i < found.size() && i < kShownDifferences; ++i) {
    text.append("\n  ").append(found[i].key).append(": there ").append(found[i].left);
    text.append(", now ").append(found[i].right);
  }
  if (found.size() > kShownDifferences) {
    text.append("\n  and ").append(std::to_string(found.size() - kShownDifferences)).append(" more");
  }
  return text;
}

std::string without_end_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

/// A step's folder from what run.resume names: itself, or the newest of a run.
std::string step_folder_of(const std::string& path) {
  if (fs::exists(path + "/" + kStepConfigFile)) return path;
  const std::string step = train::find_checkpoint(path + "/" + kCheckpointsFolder);
  if (!step.empty()) return step;
  throw core::UserError("run.resume=" + path + ": wanted a run folder with checkpoints or a step's folder, found " +
                        (fs::exists(path) ? "neither" : "nothing there"));
}

/// By the report: that of an attempt which was stopped stays until the one that finishes has written its own, and that
/// of one which finished until a later attempt, as from an earlier step, has.
bool is_finished(const std::string& folder) {
  const std::string path = folder + "/" + kReportFile;
  if (!fs::exists(path)) return false;
  const core::Json report = core::read_json_file(path);
  const auto attempts = report.find("attempts");
  return attempts != report.end() && attempts->is_array() && !attempts->empty() &&
         attempts->back().value("outcome", "") == "finished" &&
         attempts->back().value("attempt", 0) + 1 >= metrics::next_attempt_number(folder + "/" + kAttemptsFolder);
}

/// Going back within a run would leave steps of what is given up, which a later start would take for the newest.
void refuse_newer_steps(const config::ExperimentConfig& config, const std::string& step) {
  const int64_t update = train::read_training_state(step).update;
  std::string newer;
  for (const io::CheckpointPlace& place : io::list_checkpoints(config.run.output + "/" + kCheckpointsFolder)) {
    if (place.step > update && train::resumable(place.path))
      newer += (newer.empty() ? "" : ", ") + train::step_folder_name(place.step);
  }
  if (newer.empty()) return;
  throw core::UserError("run.resume=" + config.run.resume + ": " + config.run.output + " has newer steps, " + newer +
                        ", and a later start would go on from them. Go on in another folder (run.output=...), or "
                        "delete them first");
}

void make_room(const config::ExperimentConfig& config, const std::string& why) {
  const std::string& folder = config.run.output;
  if (!holds_run(folder)) return;
  if (!config.run.overwrite) {
    throw core::UserError(folder + " holds a run " + why +
                          "\nTake another folder (run.output=...), or delete it with run.overwrite=true");
  }
  core::log_warning("deleting the former run in " + folder + " (run.overwrite)");
  remove_run(folder);
}

RunStart plan_auto(const config::ExperimentConfig& config) {
  const std::string& folder = config.run.output;
  if (!holds_run(folder)) return {};
  const std::string former = folder + "/" + kConfigFile;
  if (!fs::exists(former)) {
    make_room(config, "without its config.yaml, so it cannot be continued");
    return {};
  }
  if (const std::string changed = differences(former, config); !changed.empty()) {
    make_room(config, "of another config:" + changed);
    return {};
  }
  RunStart start;
  const std::string checkpoints = folder + "/" + kCheckpointsFolder;
  start.resume_from = train::find_checkpoint(checkpoints);
  if (start.resume_from.empty() && !io::list_finished_checkpoints(checkpoints).empty()) {
    make_room(config, "none of whose checkpoints can be continued: they are damaged, or have no optimizer state");
  }
  return start;
}

}  // namespace

bool holds_finished_training(const config::ExperimentConfig& config) {
  const std::string& folder = config.run.output;
  const std::string former = folder + "/" + kConfigFile;
  return config.run.resume == "auto" && holds_run(folder) && fs::exists(former) &&
         differences(former, config).empty() && is_finished(folder);
}

RunStart plan_start(const config::ExperimentConfig& config) {
  if (config.run.resume == "auto") return plan_auto(config);
  if (config.run.resume == "never") {
    make_room(config, "and run.resume is never");
    return {};
  }
  RunStart start;
  const std::string named = without_end_slashes(config.run.resume);
  start.resume_from = step_folder_of(named);
  const std::string config_file = start.resume_from + "/" + kStepConfigFile;
  if (const std::string changed = differences(config_file, config); !changed.empty()) {
    throw core::UserError("run.resume=" + config.run.resume + " was trained with another config:" + changed);
  }
  const std::string own = config.run.output + "/" + kCheckpointsFolder;
  const bool same_run =
      fs::exists(own) && fs::weakly_canonical(fs::path(start.resume_from).parent_path()) == fs::weakly_canonical(own);
  if (!same_run) {
    make_room(config, "already; the checkpoint to continue is of another folder");
  } else if (start.resume_from == named) {  // Of a run the newest is taken.
    refuse_newer_steps(config, start.resume_from);
  }
  return start;
}

}  // namespace txtsum::app
