#pragma once

#include <string>
#include <vector>

#include "app/finished_run.h"
#include "txtsum/metrics/report.h"

namespace txtsum::tests {

/// A report of one finished attempt: a training at 1,200 W (measured) for `seconds`, priced and in a region.
inline core::Json sample_report(const std::string& name, double seconds, bool trains = true) {
  metrics::AttemptRecord record;
  record.attempt = 1;
  record.outcome = "finished";
  record.end_unix_seconds = seconds;
  record.meters = {{metrics::EnergyComponent::kGpu, metrics::Provenance::kMeasured, "NVML energy counter, card", ""}};
  for (auto& phase : record.phases) phase.joules = {0.0};
  metrics::PhaseRecord& phase = record.phase(trains ? metrics::Phase::kTrain : metrics::Phase::kGenerate);
  phase.seconds = phase.device_seconds = seconds;
  phase.joules = {1200.0 * seconds};
  phase.work.updates = trains ? 10 : 0;
  metrics::ReportInputs inputs;
  inputs.run_name = name;
  inputs.command = trains ? "train" : "evaluate";
  inputs.command_line = "txtsum train x.yaml";
  inputs.attempts.attempts = {record};
  inputs.carbon.region = "westeurope";
  inputs.cost.usd_per_hour = 3.6;
  inputs.environment = {{"device", "Some GPU"}, {"libtorch_version", "2.11.0"}};
  inputs.config = {{"model.checkpoint", "facebook/bart-base"},
                   {"model.init", "pretrained"},
                   {"data.test", "[t.jsonl]"},
                   {"optimizer.learning_rate", "5e-05"},
                   {"report.dataset", "null"}};
  return metrics::make_report(inputs);
}

/// A run of the test split with these scores, the same for all four kinds; ids are 0, 1, ...
inline app::FinishedRun sample_run(const std::string& name, const std::vector<double>& scores, double seconds = 3600) {
  app::FinishedRun run;
  run.folder = "runs/" + name;
  run.report = sample_report(name, seconds);
  run.split = "test";
  double sum = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    app::Prediction prediction;
    prediction.id = std::to_string(i);
    prediction.summary = "summary " + prediction.id;
    prediction.reference = "reference " + prediction.id;
    prediction.rouge.fill(scores[i]);
    sum += scores[i];
    run.predictions.push_back(prediction);
  }
  const double mean = sum / static_cast<double>(scores.size());
  core::Json quality{
      {"pairs", scores.size()}, {"stemmer", "none"}, {"sentences", "lines"}, {"aggregation", "mean over pairs"}};
  for (const metrics::RougeKind& kind : metrics::kRougeKinds) {
    quality[kind.name] = mean;
    quality["intervals"][kind.name] = {{"low", mean - 1}, {"middle", mean}, {"high", mean + 1}};
  }
  run.report["quality"]["test"] = quality;
  return run;
}

}  // namespace txtsum::tests
