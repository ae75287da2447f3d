#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "txtsum/core/json.h"
#include "txtsum/metrics/figure.h"
#include "txtsum/metrics/rouge.h"

namespace txtsum::app {

/// Names for people, in the order of metrics::kRougeKinds.
inline constexpr std::array<const char*, 4> kRougeTitles{"ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"};

/// One line of predictions.jsonl.
struct Prediction {
  std::string id;
  std::string summary;
  std::string reference;
  int64_t summary_tokens = 0;               ///< Without the token that starts the decoder.
  std::array<double, 4> rouge{};            ///< F x 100, in the order of metrics::kRougeKinds.
  std::optional<std::string> source_start;  ///< The document's beginning; lines of older versions have none of these.
  std::optional<int64_t> source_tokens;     ///< Before anything is cut.
  std::optional<int64_t> reference_tokens;
};

/// What a training or an evaluation has left in its folder.
struct FinishedRun {
  std::string folder;
  core::Json report;
  std::string split;                    ///< That was summarized and scored: `test` or `validation`; empty: none was.
  std::vector<Prediction> predictions;  ///< Of that split, in input order.
  std::vector<core::Json> steps;        ///< Lines of steps.jsonl; empty for an evaluation.

  std::string name() const { return report.at("run_name").get<std::string>(); }
  /// Scores of the split; call it only where there is one.
  const core::Json& quality() const { return report.at("quality").at(split); }
  /// A training, though it may have been stopped before its first update, and not an evaluation alone.
  bool has_training() const;
};

/// Reads the folder of a run or of an evaluation. Throws UserError where it holds none, DataError where its files are
/// not what this program writes or do not belong together.
FinishedRun read_finished_run(const std::string& folder);

/// A figure with its key in JSON and its name for people.
struct NamedFigure {
  const char* key;
  const char* label;
  metrics::Figure figure;
};

/// Texts of report.json's lists `doubts` (what makes figures less than they say) and `warnings` (what costs scores).
std::vector<std::string> doubts_of(const core::Json& report);
std::vector<std::string> warnings_of(const core::Json& report);

/// What the whole run of a report.json has cost: seconds, Wh, g CO2e (lowest and highest), USD, peak bytes of device
/// and host.
std::vector<NamedFigure> footprint_figures(const core::Json& report);

}  // namespace txtsum::app
