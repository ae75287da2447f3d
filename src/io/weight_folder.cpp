#include "txtsum/io/weight_folder.h"

#include <filesystem>

#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::io {
namespace {

/// A format's file, and the index of its shards; in transformers' order.
struct Format {
  const char *single, *index;
};
constexpr Format kFormats[] = {{"model.safetensors", "model.safetensors.index.json"},
                               {"pytorch_model.bin", "pytorch_model.bin.index.json"}};

[[noreturn]] void fail_without_weights(const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) throw core::DataError(folder + ": no such folder");
  std::string names;
  for (const Format& format : kFormats) {
    names.append(names.empty() ? "" : ", ").append(format.single).append(" or ").append(format.index);
  }
  throw core::DataError(folder + ": no weights: wanted " + names);
}

/// The file that each tensor is in, as the index says.
std::map<std::string, std::string> read_weight_map(const std::string& index_path) {
  const core::Json index = core::read_json_file(index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw core::DataError(index_path + ": wanted an object 'weight_map' of tensor names and file names");
  }
  std::map<std::string, std::string> file_of;
  for (const auto& [name, file] : index["weight_map"].items()) {
    // A file name with a folder in it could lead anywhere on the disk.
    if (!file.is_string() || file.get<std::string>().empty() ||
        file.get<std::string>().find('/') != std::string::npos) {
      throw core::DataError(index_path + ": weight_map: wanted a file name in this folder for tensor '" + name +
                            "', found " + core::to_line(file));
    }
    file_of[name] = file.get<std::string>();
  }
  if (file_of.empty()) throw core::DataError(index_path + ": weight_map is empty");
  return file_of;
}

}  // namespace

WeightFolder::WeightFolder(const std::string& folder) : folder_(folder) {
  for (const Format& format : kFormats) {
    const std::string single = folder + "/" + format.single, index = folder + "/" + format.index;
    if (std::filesystem::exists(single)) {
      files_.push_back(open_tensor_file(single));
      for (const TensorEntry& entry : files_[0]->entries()) file_numbers_.emplace(entry.name, 0);
      return;
    }
    if (std::filesystem::exists(index)) {
      open_shards(index);
      return;
    }
  }
  fail_without_weights(folder);
}

void WeightFolder::open_shards(const std::string& index_path) {
  const std::map<std::string, std::string> file_of = read_weight_map(index_path);
  std::map<std::string, size_t> opened;
  for (const auto& [name, file] : file_of) {
    if (opened.count(file) > 0) continue;
    const std::string path = folder_ + "/" + file;
    std::error_code ignored;  // a name may be longer than the file system allows
    if (!std::filesystem::exists(path, ignored)) {
      throw core::DataError(path + ": missing shard: " + index_path + " lists it for tensor '" + name + "'");
    }
    opened[file] = files_.size();
    files_.push_back(open_tensor_file(path));
  }
  for (const auto& [file, number] : opened) {
    for (const TensorEntry& entry : files_[number]->entries()) {
      const auto [place, is_new] = file_numbers_.emplace(entry.name, number);
      if (!is_new) {
        throw core::DataError(folder_ + ": tensor '" + entry.name + "' is in two shards: " +
                              files_[place->second]->path() + " and " + files_[number]->path());
      }
      const auto listed = file_of.find(entry.name);
      if (listed == file_of.end() || listed->second != file) {
        throw core::DataError(files_[number]->path() + ": holds tensor '" + entry.name + "', which " + index_path +
                              (listed == file_of.end() ? " does not list" : " lists for " + listed->second));
      }
    }
  }
  for (const auto& [name, file] : file_of) {
    if (file_numbers_.count(name) == 0) {
      throw core::DataError(folder_ + "/" + file + ": lacks tensor '" + name + "', which " + index_path +
                            " lists for it");
    }
  }
}

std::vector<std::string> WeightFolder::files() const {
  std::vector<std::string> paths;
  for (const auto& file : files_) paths.push_back(file->path());
  return paths;
}

std::vector<std::string> WeightFolder::names() const {
  std::vector<std::string> names;
  for (const auto& item : file_numbers_) names.push_back(item.first);
  return names;
}

const TensorEntry* WeightFolder::find(std::string_view name) const {
  const auto found = file_numbers_.find(name);
  return found == file_numbers_.end() ? nullptr : files_[found->second]->find(name);
}

at::Tensor WeightFolder::tensor(std::string_view name) const {
  const auto found = file_numbers_.find(name);
  if (found == file_numbers_.end()) throw core::DataError(folder_ + ": no tensor '" + std::string(name) + "'");
  return files_[found->second]->tensor(name);
}

}  // namespace txtsum::io
