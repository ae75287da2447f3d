#include "data_folder.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "record_format.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDatasetState = "state.json";
constexpr const char* kDatasetDict = "dataset_dict.json";

struct SplitWord {
  const char* word;
  const char* split;
};
// What the datasets package takes for the name of a split in a file's name.
constexpr SplitWord kSplitWords[] = {{"train", "train"},      {"training", "train"}, {"validation", "validation"},
                                     {"valid", "validation"}, {"val", "validation"}, {"dev", "validation"},
                                     {"test", "test"},        {"testing", "test"},   {"eval", "test"},
                                     {"evaluation", "test"}};

std::string join(const std::string& folder, const std::string& name) { return (fs::path(folder) / name).string(); }

/// The names in a list of save_to_disk's state.json; none where the key is missing or null.
std::vector<std::string> files_in_state(const core::Json& state, const char* key, const std::string& folder) {
  std::vector<std::string> files;
  const auto list = state.find(key);
  if (list == state.end() || list->is_null()) return files;
  for (const auto& entry : *list) {
    const auto name = entry.is_object() ? entry.find("filename") : entry.end();
    if (!entry.is_object() || name == entry.end() || !name->is_string()) {
      throw core::DataError(join(folder, kDatasetState) + ": " + key + ": wanted objects with a filename, found " +
                            core::to_line(entry));
    }
    files.push_back(join(folder, name->get<std::string>()));
    if (!fs::is_regular_file(files.back())) {
      throw core::DataError(files.back() + ": no such file; " + kDatasetState + " beside it lists it");
    }
  }
  return files;
}

DataFiles read_saved_dataset(const std::string& folder) {
  const core::Json state = core::read_json_file(join(folder, kDatasetState));
  DataFiles found;
  if (state.is_object()) {
    found.files = files_in_state(state, "_data_files", folder);
    // Written by early versions of datasets; the later ones write the rows in their order.
    for (const char* key : {"_indices_data_files", "_indices_files"}) {
      for (std::string& file : files_in_state(state, key, folder)) found.index_files.push_back(std::move(file));
    }
  }
  if (found.files.empty()) {
    throw core::DataError(join(folder, kDatasetState) + ": no _data_files; wanted the list of a saved data set");
  }
  return found;
}

DataFiles read_saved_splits(const std::string& folder, const std::string& split) {
  const core::Json dict = core::read_json_file(join(folder, kDatasetDict));
  std::vector<std::string> names;
  if (dict.is_object() && dict.contains("splits") && dict["splits"].is_array()) {
    for (const auto& name : dict["splits"]) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
  }
  const std::string example = join(folder, names.empty() ? "train" : names.front());
  if (split.empty()) {
    throw core::DataError(folder + ": holds the splits " + quoted_list(names) + "; name the folder of one: " + example);
  }
  if (std::find(names.begin(), names.end(), split) == names.end()) {
    throw core::DataError(folder + ": no split '" + split + "'; found " + quoted_list(names) +
                          "; the folder of another can be named by itself: " + example);
  }
  const std::string chosen = join(folder, split);
  if (!fs::is_regular_file(join(chosen, kDatasetState))) {
    throw core::DataError(join(chosen, kDatasetState) + ": no such file; " + kDatasetDict + " says that '" + split +
                          "' is there");
  }
  return read_saved_dataset(chosen);
}

/// The name without its ending and without `-00000-of-00002`; `number` and `count` are those of the shard, if any.
std::string stem_of(const std::string& path, std::optional<int64_t>& number, int64_t& count) {
  std::string stem = fs::path(path).stem().string();
  constexpr size_t kDigits = 5;
  const std::string middle = "-of-";
  const size_t length = 1 + kDigits + middle.size() + kDigits;
  if (stem.size() < length) return stem;
  const std::string mark = stem.substr(stem.size() - length);
  const std::string first = mark.substr(1, kDigits), last = mark.substr(length - kDigits);
  const auto is_number = [](const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  };
  if (mark[0] != '-' || mark.substr(1 + kDigits, middle.size()) != middle || !is_number(first) || !is_number(last)) {
    return stem;
  }
  number = std::stoll(first);
  count = std::stoll(last);
  return stem.substr(0, stem.size() - length);
}

/// The splits whose words are in a file's name.
std::set<std::string> splits_in(const std::string& stem) {
  std::set<std::string> found;
  for (size_t begin = 0; begin < stem.size();) {
    size_t end = begin;
    std::string word;
    for (; end < stem.size() && std::isalpha(static_cast<unsigned char>(stem[end])) != 0; ++end) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(stem[end])));
    }
    for (const SplitWord& known : kSplitWords) {
      if (word == known.word) found.insert(known.split);
    }
    begin = end + 1;
  }
  return found;
}

/// Throws where shards NAME-00000-of-00003 ... are not all there.
void require_all_shards(const std::string& folder, const std::vector<std::string>& files) {
  std::map<std::pair<std::string, int64_t>, std::set<int64_t>> groups;
  for (const std::string& file : files) {
    std::optional<int64_t> number;
    int64_t count = 0;
    const std::string stem = stem_of(file, number, count);
    if (number) groups[{stem, count}].insert(*number);
  }
  for (const auto& [group, numbers] : groups) {
    for (int64_t i = 0; i < group.second; ++i) {
      if (numbers.contains(i)) continue;
      throw core::DataError(folder + ": shard " + std::to_string(i) + " of the " + std::to_string(group.second) +
                            " of '" + group.first + "' is missing (they count from 0)");
    }
  }
}

std::vector<std::string> list_shards(const std::string& folder) {
  std::vector<std::string> files;
  std::set<std::string> endings;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if (!entry.is_regular_file() || !is_arrow_ending(ending_of(path))) continue;
    files.push_back(path);
    endings.insert(ending_of(path));
  }
  if (files.empty()) {
    throw core::DataError(folder + ": no data in this folder: wanted " + kDatasetState + " or " + kDatasetDict +
                          " (datasets' save_to_disk), or files that end in .parquet, .arrow or .feather");
  }
  if (endings.size() > 1) {
    throw core::DataError(folder + ": holds files of " +
                          quoted_list(std::vector<std::string>(endings.begin(), endings.end())) +
                          ", and reading both would be a guess; name the files");
  }
  std::sort(files.begin(), files.end());
  return files;
}

DataFiles read_shards(const std::string& folder, const std::string& split) {
  std::vector<std::string> files = list_shards(folder);
  std::map<std::string, std::vector<std::string>> by_split;
  for (const std::string& file : files) {
    std::optional<int64_t> number;
    int64_t count = 0;
    const std::set<std::string> splits = splits_in(stem_of(file, number, count));
    if (splits.size() > 1) {
      throw core::DataError(file + ": the name has the words of two splits; name the files to read");
    }
    by_split[splits.empty() ? "" : *splits.begin()].push_back(file);
  }
  if (by_split.size() > 1 && by_split.contains("")) {
    throw core::DataError(by_split[""].front() + ": the name has no split, and others in the folder have one; name " +
                          "the files to read");
  }
  if (!by_split.contains("")) {
    std::vector<std::string> names;
    for (const auto& [name, of_split] : by_split) names.push_back(name);
    if (by_split.size() > 1 && split.empty()) {
      throw core::DataError(folder + ": holds the splits " + quoted_list(names) + "; name the files of one");
    }
    if (!split.empty() && !by_split.contains(split)) {
      throw core::DataError(folder + ": no split '" + split + "'; found " + quoted_list(names) +
                            " by the names of the files; the files of another can be named by themselves");
    }
    files = split.empty() ? by_split.begin()->second : by_split[split];
  }
  require_all_shards(folder, files);
  return {std::move(files), {}};
}

}  // namespace

DataFiles find_data_files(const std::string& folder, const std::string& split) {
  try {
    if (fs::exists(join(folder, kDatasetDict))) return read_saved_splits(folder, split);
    if (fs::exists(join(folder, kDatasetState))) return read_saved_dataset(folder);
    return read_shards(folder, split);
  } catch (const fs::filesystem_error& error) {
    throw core::DataError(folder + ": cannot be read: " + error.code().message());
  }
}

bool is_arrow_ending(const std::string& ending) {
  return ending == ".parquet" || ending == ".arrow" || ending == ".feather";
}

}  // namespace txtsum::data
