#include "app/run_folder.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

std::string make_temporary_folder() {
  std::string pattern = (fs::temp_directory_path() / "txtsum-run-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw core::DataError(pattern + ": cannot make a temporary folder");
  return pattern;
}

/// Copies `source` over `target` unless both have the same size and `target` is not older.
void copy_if_changed(const fs::path& source, const fs::path& target) {
  std::error_code error;
  if (fs::exists(target, error) && fs::file_size(target, error) == fs::file_size(source, error) &&
      fs::last_write_time(target, error) >= fs::last_write_time(source, error)) {
    return;
  }
  fs::create_directories(target.parent_path(), error);
  if (!fs::copy_file(source, target, fs::copy_options::overwrite_existing, error) || error) {
    throw core::DataError(target.string() + ": cannot write: " + error.message());
  }
}

}  // namespace

io::PublishMode publish_mode(config::Publish publish) {
  return publish == config::Publish::kRename ? io::PublishMode::kRename : io::PublishMode::kInPlace;
}

RunFolder::RunFolder(std::string path, config::Publish publish)
    : path_(std::move(path)), mode_(app::publish_mode(publish)) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) throw core::DataError(path_ + ": cannot make the run folder: " + error.message());
  live_ = path_;
  if (mode_ == io::PublishMode::kInPlace) {
    live_ = make_temporary_folder();
    for (const char* name : {kLogFile, kStepsFile, kPartialFile}) {
      if (fs::exists(file(name))) copy_if_changed(file(name), live(name));
    }
  }
  core::add_log_file(live(kLogFile));
}

RunFolder::~RunFolder() {
  try {
    publish_live();
    std::error_code ignored;
    if (live_ != path_) fs::remove_all(live_, ignored);
  } catch (const std::exception& error) {
    core::log_warning("the newest log lines are in " + live_ + ": " + error.what());
  }
}

void RunFolder::publish_live() const {
  if (live_ == path_) return;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(live_)) {
    if (entry.is_regular_file()) copy_if_changed(entry.path(), path_ / fs::relative(entry.path(), live_));
  }
}

namespace {

constexpr std::array kRunFiles{kConfigFile,        kEnvironmentFile, kLogFile,           kStepsFile,
                               kPredictionsFile,   kReportFile,      kGeneratedTextFile, kTrainerStateFile,
                               kEmissionsFile,     kAttemptsFolder,  kCheckpointsFolder, kModelFolder,
                               kTensorboardFolder, kTraceFile,       kPageFile,          kSeveralPageFile};
constexpr std::array kResultFiles{"all_results.json",     "train_results.json", "eval_results.json",
                                  "predict_results.json", kPartialFile,         "mlflow_run.json"};

}  // namespace

bool holds_run(const std::string& folder) {
  // An attempt that failed before its first save has left a config and a log, and nothing that could be lost.
  for (const char* name : {kCheckpointsFolder, kModelFolder, kPredictionsFile}) {
    if (fs::exists(folder + "/" + name)) return true;
  }
  return false;
}

void remove_run(const std::string& folder) {
  std::vector<std::string> names(kRunFiles.begin(), kRunFiles.end());
  names.insert(names.end(), kResultFiles.begin(), kResultFiles.end());
  for (const std::string& name : names) {
    std::error_code error;
    fs::remove_all(folder + "/" + name, error);
    if (error) throw core::DataError(folder + "/" + name + ": cannot delete: " + error.message());
  }
}

}  // namespace txtsum::app
