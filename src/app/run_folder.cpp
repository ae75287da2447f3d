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

/// Whether core::write_file calls a file so until it is whole: NAME.tmp.PID.
bool is_temporary(const std::string& name) {
  const size_t mark = name.rfind(".tmp.");
  return mark != std::string::npos && mark + 5 < name.size() &&
         name.find_first_not_of("0123456789", mark + 5) == std::string::npos;
}

/// Deletes what killed processes had not finished writing; nobody else writes here (RunLock).
void remove_temporaries(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.is_regular_file() && is_temporary(entry.path().filename().string())) fs::remove(entry.path(), ignored);
  }
}

/// Files that grow in `live()`, and what an attempt that goes on takes up.
constexpr std::array kGrowingFiles{kLogFile, kStepsFile, kPartialFile};

/// The second copy of a growing file: a copy that is cut short by a kill leaves the other one as it was.
fs::path second_copy(const fs::path& folder, const std::string& name) { return folder / ("." + name + ".copy"); }

uint64_t size_of(const fs::path& path) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  return error ? 0 : bytes;
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
  for (const char* part : {"", kAttemptsFolder, kCheckpointsFolder}) remove_temporaries(fs::path(path_) / part);
  live_ = path_;
  if (mode_ == io::PublishMode::kInPlace) {
    live_ = make_temporary_folder();
    for (const char* name : kGrowingFiles) {
      const fs::path first = file(name), second = second_copy(path_, name);
      // The shorter one was cut short, or is the older.
      const fs::path& source = size_of(second) > size_of(first) ? second : first;
      if (fs::exists(source)) copy_if_changed(source, live(name));
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
  for (const char* name : kGrowingFiles) {
    if (fs::exists(live(name))) copy_if_changed(live(name), second_copy(path_, name));
  }
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
  for (const char* name : kGrowingFiles) names.push_back(second_copy("", name).string());
  for (const std::string& name : names) {
    std::error_code error;
    fs::remove_all(folder + "/" + name, error);
    if (error) throw core::DataError(folder + "/" + name + ": cannot delete: " + error.message());
  }
}

void RunFolder::remove_growing(const std::string& name) const {
  std::error_code ignored;
  for (const fs::path& path : {fs::path(live(name)), fs::path(file(name)), second_copy(path_, name)}) {
    fs::remove(path, ignored);
  }
}

}  // namespace txtsum::app
