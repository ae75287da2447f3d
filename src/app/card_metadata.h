#pragma once

#include <string>

#include "app/model_card.h"
#include "txtsum/core/json.h"

namespace txtsum::app {

/// The scores that a card shows: of the test split, else of the last (or best) validation.
struct CardScores {
  std::string split;  ///< Empty where nothing was scored.
  core::Json values;  ///< With rouge1, ...; `intervals` where there are some.
};
CardScores card_scores(const core::Json& report);

/// A config key's value as YAML text; empty where it is unset.
std::string config_value(const core::Json& report, const std::string& key);

/// The files of a split, as the config has them.
std::string split_files(const core::Json& report, const std::string& split);

/// The device that the run used; empty where it is not known.
std::string hardware(const core::Json& report);

/// The metadata between the card's two lines of dashes.
std::string card_metadata(const core::Json& report, const CardBase& base);

/// The lines of a top-level key in the metadata of a card, the key's own included, as they are; empty where it has
/// none.
std::string metadata_entry(const std::string& card, const std::string& key);

}  // namespace txtsum::app
