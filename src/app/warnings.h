#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/experiment.h"
#include "txtsum/config/data_config.h"
#include "txtsum/core/json.h"
#include "txtsum/data/data_report.h"
#include "txtsum/generate/settings.h"
#include "txtsum/model/seq2seq_model.h"

namespace txtsum::app {

/// What costs scores and stops nothing. docs/metrics.md lists the names.
struct Warning {
  std::string name;             ///< For programs: `references_truncated`, ...
  std::string key;              ///< The config key that changes it; empty: none does.
  std::optional<double> value;  ///< The number that it is about.
  std::string text;             ///< For a person: the number, and what to set.
};
using Warnings = std::vector<Warning>;

/// Settings that are not followed; one beam where the checkpoint says more; start, forced and end tokens on which
/// config.json, generation_config.json, the experiment and the tokenizer do not agree.
Warnings generation_warnings(const generate::ResolvedSettings& resolved, const ModelFiles& files,
                             const model::ModelFacts& facts);

/// References that are cut, more than 5 % of a split's sources cut, documents that are in two splits, and, of the
/// splits named in `summarized`, references that `settings` does not let a summary be as long as.
Warnings data_warnings(const data::DataReport& report, const config::DataConfig& section,
                       const std::vector<std::string>& summarized, const generate::GenerationSettings& settings,
                       const model::ModelFacts& facts);

/// Splits of report.json's `quality` whose summaries run up to the limit.
Warnings output_warnings(const core::Json& quality, const generate::GenerationSettings& settings);

/// Adds `more` to `list` and logs it.
void log_and_add(Warnings& list, const Warnings& more);
/// report.json's `warnings`.
core::Json to_json(const Warnings& warnings);

}  // namespace txtsum::app
