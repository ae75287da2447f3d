#include "txtsum/io/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "checkpoint_files.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/file_hash.h"
#include "txtsum/core/json.h"

namespace txtsum::io {
namespace fs = std::filesystem;
namespace {

/// A file as the checksum list describes it.
struct ListedFile {
  std::string name;
  uint64_t bytes;
  std::string hash;
};

/// N of `step-N`; nothing for any other name, `step-007` and `step-+7` included.
std::optional<int64_t> step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (name.rfind(kPrefix, 0) != 0) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [last, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || last != end || step < 0 || name != "step-" + std::to_string(step)) return std::nullopt;
  return step;
}

/// Whether the folder was finished once. A DONE without content is what a process killed in writing it left.
bool has_done(const std::string& folder) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(folder + "/" + kDoneFile, error);
  return !error && bytes > 0;
}

/// Reads the checksum list after checking it against DONE. Throws DataError.
std::vector<ListedFile> read_checksums(const std::string& folder) {
  const std::string done_path = folder + "/" + kDoneFile;
  const std::string list_path = folder + "/" + kChecksumsFile;
  if (!fs::exists(done_path)) throw core::DataError(done_path + ": missing: the checkpoint was not finished");
  const std::string done = core::read_file(done_path);
  const std::string text = core::read_file(list_path);
  if (done != core::content_hash(text) + "\n") {
    throw core::DataError(list_path + ": wanted the checksum that " + kDoneFile + " holds, found " +
                          core::content_hash(text));
  }
  std::vector<ListedFile> files;
  try {
    const core::Json list = core::Json::parse(text);
    if (list.at("version") != 1) {
      throw core::DataError(list_path + ": wanted version 1, found " + core::to_line(list.at("version")));
    }
    for (const auto& [name, file] : list.at("files").items()) {
      files.push_back({name, file.at("bytes").get<uint64_t>(), file.at("xxh3_128").get<std::string>()});
    }
  } catch (const core::Json::exception& error) {
    throw core::DataError(list_path + ": not a list of checksums: " + error.what());
  }
  return files;
}

void check_size(const std::string& folder, const ListedFile& file) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(folder + "/" + file.name, error);
  if (error) throw core::DataError(folder + "/" + file.name + ": " + error.message());
  if (bytes != file.bytes) {
    throw core::DataError(folder + "/" + file.name + ": wanted " + std::to_string(file.bytes) + " bytes, found " +
                          std::to_string(bytes));
  }
}

}  // namespace

std::vector<std::string> files_of_checkpoint(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    if (item.is_directory() && !item.is_symlink()) continue;
    if (!item.is_regular_file() || item.is_symlink()) {
      throw core::DataError(item.path().string() + ": neither a file nor a folder; a checkpoint holds nothing else");
    }
    const std::string name = fs::relative(item.path(), folder).generic_string();
    if (name != kChecksumsFile && name != kDoneFile) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void remove_checkpoint_folder(const std::string& folder) {
  std::error_code error;
  fs::remove(folder + "/" + kDoneFile, error);
  if (!error || error == std::errc::not_a_directory) fs::remove_all(folder, error);
  if (error) throw core::DataError(folder + ": cannot remove: " + error.message());
}

bool is_complete(const std::string& folder) {
  try {
    for (const ListedFile& file : read_checksums(folder)) check_size(folder, file);
    return true;
  } catch (const core::DataError&) {
    return false;
  }
}

void verify_checkpoint(const std::string& folder) {
  const std::vector<ListedFile> files = read_checksums(folder);
  for (const ListedFile& file : files) check_size(folder, file);
  for (const ListedFile& file : files) {
    const std::string hash = core::file_hash(folder + "/" + file.name);
    if (hash != file.hash) {
      throw core::DataError(folder + "/" + file.name + ": corrupt: wanted checksum " + file.hash + ", found " + hash);
    }
  }
}

std::vector<CheckpointPlace> list_finished_checkpoints(const std::string& root) {
  std::vector<CheckpointPlace> places;
  if (!fs::is_directory(root)) return places;
  for (const auto& item : fs::directory_iterator(root)) {
    const std::optional<int64_t> step = step_of(item.path().filename().string());
    if (step && has_done(item.path().string())) places.push_back({*step, item.path().string()});
  }
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return places;
}

std::vector<CheckpointPlace> list_checkpoints(const std::string& root) {
  std::vector<CheckpointPlace> places = list_finished_checkpoints(root);
  std::erase_if(places, [](const CheckpointPlace& place) { return !is_complete(place.path); });
  return places;
}

std::optional<CheckpointPlace> latest_checkpoint(const std::string& root) {
  const std::vector<CheckpointPlace> places = list_checkpoints(root);
  if (places.empty()) return std::nullopt;
  return places.back();
}

std::vector<int64_t> remove_old_checkpoints(const std::string& root, int64_t keep_last,
                                            const std::vector<int64_t>& protected_steps) {
  TXTSUM_CHECK(keep_last >= 1, "keep_last ", keep_last);
  const std::vector<CheckpointPlace> places = list_checkpoints(root);
  std::vector<int64_t> removed;
  for (size_t i = 0; i + static_cast<size_t>(keep_last) < places.size(); ++i) {
    const CheckpointPlace& place = places[i];
    if (std::find(protected_steps.begin(), protected_steps.end(), place.step) != protected_steps.end()) continue;
    remove_checkpoint_folder(place.path);
    removed.push_back(place.step);
  }
  return removed;
}

std::vector<std::string> remove_unfinished_checkpoints(const std::string& root) {
  std::vector<std::string> removed;
  if (!fs::is_directory(root)) return removed;
  for (const auto& item : fs::directory_iterator(root)) {
    const std::string name = item.path().filename().string();
    constexpr std::string_view kSuffix = ".partial";
    const bool is_partial = name.size() > kSuffix.size() + 1 && name[0] == '.' && name.ends_with(kSuffix) &&
                            step_of(name.substr(1, name.size() - kSuffix.size() - 1)).has_value();
    const bool is_unfinished = step_of(name).has_value() && !has_done(item.path().string());
    if (is_partial || is_unfinished) removed.push_back(item.path().string());
  }
  std::sort(removed.begin(), removed.end());
  for (const std::string& path : removed) remove_checkpoint_folder(path);
  return removed;
}

}  // namespace txtsum::io
