#include "txtsum/app/hub_cache.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;
using core::UserError;

/// A dangling link, such as a half-finished download leaves in the cache, counts as missing.
bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::vector<std::string> sorted_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool has_weights(const fs::path& folder) {
  const std::vector<std::string> names = sorted_names(folder);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const bool safetensors = name.ends_with(".safetensors");
    const bool pickled = name.starts_with("pytorch_model") && name.ends_with(".bin");
    return (safetensors || pickled) && is_file(folder / name);
  });
}

bool has_tokenizer(const fs::path& folder) {
  const bool pairs = is_file(folder / "vocab.json") && is_file(folder / "merges.txt");
  return is_file(folder / "tokenizer.json") || pairs || is_file(folder / "spiece.model") ||
         is_file(folder / "sentencepiece.bpe.model");
}

/// The parts of a model that `folder` lacks, as a list for a message; empty when it is whole.
std::string missing_parts(const fs::path& folder, RequiredParts required) {
  std::vector<std::string> parts;
  if (!is_file(folder / "config.json")) parts.push_back("config.json");
  if (required.weights && !has_weights(folder)) parts.push_back("weights (model.safetensors or pytorch_model.bin)");
  if (required.tokenizer && !has_tokenizer(folder))
    parts.push_back(
        "a tokenizer (tokenizer.json, spiece.model, sentencepiece.bpe.model, or vocab.json and merges.txt)");
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += i + 1 == parts.size() ? " and " : ", ";
    text += parts[i];
  }
  return text;
}

/// The first few names in `folder`, so that a person sees which folder was meant.
std::string listing(const fs::path& folder) {
  constexpr size_t kShown = 6;
  const std::vector<std::string> names = sorted_names(folder);
  if (names.empty()) return "it is empty";
  std::string text = "it holds ";
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

/// The folder `step-N` of the greatest N that is complete, or an empty path.
fs::path newest_step(const fs::path& checkpoints) {
  fs::path newest;
  long long newest_number = -1;
  for (const std::string& name : sorted_names(checkpoints)) {
    if (!name.starts_with("step-") || !is_file(checkpoints / name / "DONE")) continue;
    const long long number = std::strtoll(name.c_str() + 5, nullptr, 10);
    if (number > newest_number) {
      newest_number = number;
      newest = checkpoints / name;
    }
  }
  return newest;
}

bool is_step(const fs::path& folder) {
  const fs::path clean = fs::absolute(folder / ".").lexically_normal().parent_path();
  return clean.filename().string().starts_with("step-") && clean.parent_path().filename() == "checkpoints";
}

/// Hub ids are `name` or `organisation/name` of letters, digits, `-`, `_` and `.`.
bool looks_like_hub_id(const std::string& text) {
  if (text.empty() || text.size() > 96 || std::count(text.begin(), text.end(), '/') > 1) return false;
  if (!std::isalnum(static_cast<unsigned char>(text.front())) || text.back() == '/') return false;
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '/'; });
}

std::string download_command(const std::string& id) {
  return "  hf download " + id + "\nor, where that command is not found:\n  huggingface-cli download " + id;
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

ModelFolder from_cache(const std::string& id, RequiredParts required, const Environment& environment) {
  const fs::path cache = hub_cache_folder(environment);
  std::string name = "models--" + id;
  if (const size_t slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  const fs::path repository = cache / name;
  const fs::path reference = repository / "refs" / "main";
  if (!is_file(reference)) {
    std::string text = id + ": no such folder, and not in the Hugging Face cache " + cache.string();
    if (is_folder(repository / "snapshots")) {
      text += " at its revision main (for another revision give its folder below " +
              (repository / "snapshots").string() + ")";
    }
    throw UserError(text + ". Nothing is fetched by this program; download it with\n" + download_command(id));
  }
  const std::string revision = trimmed(core::read_file(reference.string()));
  const fs::path snapshot = repository / "snapshots" / revision;
  const std::string missing = missing_parts(snapshot, required);
  if (!missing.empty()) {
    throw UserError(id + ": its copy in the Hugging Face cache lacks " + missing + " (" + snapshot.string() +
                    "). Complete it with\n" + download_command(id));
  }
  return {snapshot.string(), ModelSource::kCache, revision};
}

ModelFolder from_folder(const fs::path& folder, RequiredParts required) {
  const bool step = is_step(folder);
  if (step && !is_file(folder / "DONE")) {
    throw UserError(folder.string() + ": this checkpoint was not finished (it has no file DONE); take another step");
  }
  const fs::path model = folder / "model";
  if (!is_file(folder / "config.json") && is_file(model / "config.json")) {
    return {model.string(), ModelSource::kRun, ""};
  }
  const std::string missing = missing_parts(folder, required);
  if (missing.empty()) return {folder.string(), step ? ModelSource::kStep : ModelSource::kFolder, ""};
  if (is_folder(folder / "checkpoints")) {
    const fs::path newest = newest_step(folder / "checkpoints");
    const std::string advice = newest.empty() ? "it has no complete checkpoint either" : "give " + newest.string();
    throw UserError(folder.string() + ": this run has no finished model/ yet; " + advice);
  }
  throw UserError(folder.string() + ": not a model folder: " + listing(folder) + "; it lacks " + missing);
}

}  // namespace

std::string process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

std::string hub_cache_folder(const Environment& environment) {
  const std::string home = environment("HOME");
  const auto expanded = [&](const std::string& path) {
    return path == "~" || path.starts_with("~/") ? home + path.substr(1) : path;
  };
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string value = environment(name); !value.empty()) return expanded(value);
  }
  if (const std::string value = environment("HF_HOME"); !value.empty()) return expanded(value) + "/hub";
  const std::string cache = environment("XDG_CACHE_HOME");
  return (cache.empty() ? home + "/.cache" : expanded(cache)) + "/huggingface/hub";
}

ModelFolder resolve_model_folder(const std::string& argument, RequiredParts required, const Environment& environment) {
  if (argument.empty()) throw UserError("no model was given: name a folder or an id like facebook/bart-large-cnn");
  const fs::path path(argument);
  if (is_folder(path)) return from_folder(path, required);
  if (std::error_code ignored; fs::exists(path, ignored)) {
    throw UserError(argument + ": this is a file; give the folder that holds config.json, weights and tokenizer");
  }
  if (looks_like_hub_id(argument)) return from_cache(argument, required, environment);
  throw UserError(argument + ": no such folder");
}

}  // namespace txtsum::app
