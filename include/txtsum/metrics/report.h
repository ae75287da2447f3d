#pragma once

#include <string>

#include "txtsum/core/json.h"
#include "txtsum/metrics/attempt_record.h"
#include "txtsum/metrics/carbon.h"
#include "txtsum/metrics/cost.h"
#include "txtsum/metrics/device_peak.h"

namespace txtsum::metrics {

inline constexpr int kReportSchemaVersion = 1;

/// Everything that report.json is made of. The JSON members are passed through as they are; an empty one becomes {}, or
/// [] where it is a list.
struct ReportInputs {
  std::string run_name;
  std::string command;  ///< `train` or `evaluate`.
  std::string command_line;
  double created_unix_seconds = 0;
  core::Json config;       ///< The resolved config.
  core::Json environment;  ///< Host, devices, versions.
  core::Json data;         ///< Numbers of the data report.
  core::Json freezing;     ///< What freezing saves; empty where everything learns.
  core::Json gpu_work;     ///< How batches became work of a GPU; empty on a CPU.
  core::Json rank_work;    ///< What a training's rank keeps and sends; empty but for a training.
  core::Json quality;      ///< Scores by split, e.g. {"test": {"rouge1": ...}}.
  core::Json warnings;     ///< What costs scores, a list.
  AttemptFiles attempts;
  CarbonOptions carbon;
  CostOptions cost;
  DevicePeakOptions device_peak;
};

/// Assembles report.json; docs/report_schema.json is its schema. Objects with `tag` are figures (figure.h); plain
/// numbers are counted by the program or read from its clock.
core::Json make_report(const ReportInputs& inputs);

}  // namespace txtsum::metrics
