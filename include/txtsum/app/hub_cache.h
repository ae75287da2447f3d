#pragma once

#include <functional>
#include <string>

namespace txtsum::app {

/// What kind of thing a model argument named.
enum class ModelSource { kFolder, kStep, kRun, kCache };

/// A folder that holds a model as the Hub has it, found from a model argument.
struct ModelFolder {
  std::string path;  ///< folder with config.json
  ModelSource source = ModelSource::kFolder;
  std::string revision;  ///< commit of the Hub for kCache, else empty
};

/// Looks up an environment variable; an unset one is empty.
using Environment = std::function<std::string(const std::string& name)>;

/// The process's own environment.
std::string process_environment(const std::string& name);

/// The parts, beside config.json, without which a folder is refused.
struct RequiredParts {
  bool weights = true;
  bool tokenizer = true;
};

/// Finds the model folder that `argument` names. In this order: a folder with config.json (a Hub folder, or a step's
/// folder, which must be complete); a run's folder, which answers with its `model/`; a Hub id such as
/// `facebook/bart-large-cnn` in the local Hugging Face cache, at its `main` revision. Nothing is fetched. Whether the
/// files fit together is for their loaders to say. Throws UserError with what is missing and, for an id, the command
/// that gets it.
ModelFolder resolve_model_folder(const std::string& argument, RequiredParts required = {},
                                 const Environment& environment = process_environment);

/// The folder where Hugging Face's tools keep what they download: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
/// XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub, the first that is set.
std::string hub_cache_folder(const Environment& environment = process_environment);

}  // namespace txtsum::app
