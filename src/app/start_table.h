#pragma once

#include <string>
#include <vector>

#include "app/experiment.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/core/json.h"
#include "txtsum/data/data_report.h"
#include "txtsum/generate/settings.h"
#include "txtsum/metrics/attempt_record.h"
#include "txtsum/train/observer.h"

namespace txtsum::app {

/// Everything resolved, as a person should see it before the first update.
struct StartFacts {
  const config::ExperimentConfig& config;
  const ModelFiles& files;
  const model::Seq2SeqModel& model;
  const std::vector<generate::SettingOrigin>& generation;
  const data::DataReport& data;
  const metrics::AttemptRecord& attempt;  ///< For its meters.
  int threads = 1;
  bool one_micro_batch = true;
  int64_t ranks = 1;
};

/// The table of resolved settings; `facts` come from the trainer.
std::string start_table(const StartFacts& start, const train::RunFacts& facts);

/// How settings of generation were resolved.
std::string generation_table(const std::vector<generate::SettingOrigin>& origins);

/// Lengths, cuts, empty and duplicate examples of the splits.
std::string data_table(const data::DataReport& report);
core::Json to_json(const data::DataReport& report);

}  // namespace txtsum::app
