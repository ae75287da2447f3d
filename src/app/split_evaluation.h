#pragma once

#include <string>

#include "app/experiment.h"
#include "app/run_folder.h"
#include "app/summaries.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/core/json.h"
#include "txtsum/metrics/ledger.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::app {

/// A split that is to be summarized and scored, and with what.
struct SplitRequest {
  const config::ExperimentConfig& config;
  const ModelFiles& files;
  const model::Seq2SeqModel& model;
  const generate::GenerationSettings& settings;
  const data::Dataset& dataset;
  Split split = Split::kTest;
};

/// Summarizes and scores a split: loss, ROUGE with intervals. Writes predictions.jsonl, generated_predictions.txt and
/// `predict_results.json` (test) or `eval_results.json` (validation) into `folder`; a killed one goes on where it was.
/// Returns the scores for the report. Of several ranks the first one calls it, while the others follow. Throws
/// StoppedBySignal.
core::Json evaluate_split(const SplitRequest& request, const RunFolder& folder, metrics::Ledger& ledger,
                          const core::Clock& clock, parallel::Communicator& ranks);

/// Deletes what evaluate_split keeps for an attempt that goes on: the report has the scores now.
void forget_summary_log(const RunFolder& folder);

/// The other ranks' part of evaluate_split: they summarize with it and write nothing.
void follow_evaluation(const SplitRequest& request, const core::Clock& clock, parallel::Communicator& ranks);

/// Scores in a line or two for a person.
std::string quality_text(const core::Json& quality);

}  // namespace txtsum::app
