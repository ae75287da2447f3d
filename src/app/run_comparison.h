#pragma once

#include <array>
#include <string>
#include <vector>

#include "app/finished_run.h"
#include "txtsum/metrics/paired_bootstrap.h"

namespace txtsum::app {

/// A figure of two runs.
struct ComparedFigure {
  NamedFigure first;
  metrics::Figure second;
  metrics::Figure difference;  ///< second - first.
};

/// Two runs on the same documents.
struct RunComparison {
  size_t documents = 0;
  std::vector<metrics::PairedDifference> rouge;  ///< In the order of metrics::kRougeKinds, F x 100.
  std::vector<ComparedFigure> figures;           ///< Of footprint_figures().
  metrics::BootstrapOptions bootstrap;
  std::vector<std::string> notes;  ///< What a reader of the figures should know.
};

/// Resamples of a comparison where nobody asks for others: a p-value of 0.05 is then sure to 0.002.
inline constexpr int kComparisonResamples = 10000;

/// Compares the scores of two runs by a paired bootstrap over documents, and what the runs have cost. Documents are
/// matched by id, or, where ids occur twice, by place. Throws UserError where the runs are not of the same documents,
/// references and scoring.
RunComparison compare_runs(const FinishedRun& first, const FinishedRun& second,
                           const metrics::BootstrapOptions& bootstrap);

/// Tables for a person.
std::string comparison_text(const FinishedRun& first, const FinishedRun& second, const RunComparison& comparison);

/// One object, docs/reports.md describes it.
core::Json comparison_json(const FinishedRun& first, const FinishedRun& second, const RunComparison& comparison);

}  // namespace txtsum::app
