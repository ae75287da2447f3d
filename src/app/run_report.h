#pragma once

#include <functional>
#include <map>
#include <string>

#include "app/run_folder.h"
#include "app/warnings.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/core/json.h"
#include "txtsum/metrics/ledger.h"
#include "txtsum/metrics/rouge.h"

namespace txtsum::app {

/// What a report says beside the ledger's figures.
struct ReportParts {
  const config::ExperimentConfig& config;
  std::string command;  ///< `train` or `evaluate`.
  std::string command_line;
  core::Json environment;
  core::Json data;            ///< Numbers of the data report.
  core::Json quality;         ///< Scores by split.
  core::Json freezing = {};   ///< What freezing saves (freeze_report.h), without with_spared_work().
  core::Json gpu_work = {};   ///< Of a training on a GPU.
  core::Json rank_work = {};  ///< Of a training.
  Warnings warnings = {};
};

/// Writes report.json and emissions.csv from all attempts; returns report.json. `before` gets it before it is written:
/// what it writes is there whenever the report says that the run is finished. Throws DataError.
core::Json write_report(const RunFolder& folder, const ReportParts& parts, metrics::Ledger& ledger,
                        const core::Clock& clock, const std::function<void(const core::Json&)>& before = {});

/// A corpus's scores with everything that must stand beside them: the form of `txtsum score` and of report.json.
core::Json to_json(const metrics::CorpusRouge& rouge);

/// Mean F from 0 to 1 by name.
std::map<std::string, double> rouge_shares(const metrics::CorpusRouge& rouge);

/// Seconds, energy, carbon and cost in a few lines for a person; what is missing comes with the key to set.
std::string footprint_text(const config::ResourcesConfig& resources, const std::string& attempts_folder,
                           metrics::Ledger& ledger);

}  // namespace txtsum::app
