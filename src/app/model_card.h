#pragma once

#include <map>
#include <string>

#include "txtsum/app/hub_cache.h"
#include "txtsum/core/json.h"

namespace txtsum::app {

/// The model that a training started from, as its card tells of it.
struct CardBase {
  ModelFolder folder;
  /// README.md and what else begins with README in its folder, by name.
  std::map<std::string, std::string> readmes;
};

/// Reads the READMEs of `folder`. Throws DataError.
CardBase read_card_base(const ModelFolder& folder);

/// The text of a model card: metadata in YAML as the Hugging Face Hub reads it, then the page. Every number is
/// `report`'s, a report.json; what it does not know is said to be missing.
std::string model_card(const core::Json& report, const CardBase& base);

/// Writes README.md into the finished model's folder, and beside it the base model's READMEs, README.md as
/// README_base.md and so on. Throws DataError.
void write_model_card(const std::string& model_folder, const core::Json& report, const CardBase& base);

}  // namespace txtsum::app
