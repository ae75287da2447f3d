#pragma once

#include <string>
#include <vector>

#include "support/temporary_folder.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/config/load.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::config {

/// The least that a config needs.
inline const std::string kLeast = "model:\n  checkpoint: m\ndata:\n  train: a.jsonl\n";

/// Config files in a folder of their own.
class ConfigFiles {
 public:
  std::string write(const std::string& name, const std::string& text) {
    core::write_file(folder_.path(name), text);
    return folder_.path(name);
  }
  std::string path(const std::string& name) const { return folder_.path(name); }

  ExperimentConfig load(const std::string& text, const std::vector<std::string>& arguments = {}) {
    return load_experiment(write("x.yaml", text), arguments);
  }

  /// The complaints, with the folder's path taken out; empty when loading works.
  std::string complaints(const std::string& text, const std::vector<std::string>& arguments = {}) {
    try {
      load(text, arguments);
    } catch (const core::UserError& error) {
      return without_folder(error.what());
    }
    return "";
  }

  std::string without_folder(std::string text) const {
    const std::string prefix = folder_.path() + "/";
    for (size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) text.erase(at, prefix.size());
    return text;
  }

 private:
  tests::TemporaryFolder folder_;
};

}  // namespace txtsum::config
