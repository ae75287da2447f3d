#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "txtsum/data/dataset.h"

namespace txtsum::data {

/// What a limit on tokens would take away.
struct LimitCut {
  int64_t limit = 0;
  int64_t truncated = 0;    ///< Examples that are longer.
  int64_t kept_tokens = 0;  ///< Tokens that are left, in all.
};

/// How long the texts of a split are in tokens before they are cut, and what the limit takes away. Percentiles are
/// nearest rank: the smallest length that at least that share of examples does not exceed.
struct LengthSummary {
  int64_t min = 0;
  double mean = 0.0;
  int64_t p50 = 0;
  int64_t p90 = 0;
  int64_t p95 = 0;
  int64_t p99 = 0;
  int64_t max = 0;
  int64_t tokens = 0;            ///< Sum before cutting.
  int64_t truncated = 0;         ///< Examples that are cut.
  int64_t truncated_tokens = 0;  ///< Tokens that are cut off, in all.
  std::vector<LimitCut> limits;  ///< The same for other limits: 64, 128, ... as long as something is longer.
};

/// One split.
struct SplitReport {
  std::string name;
  int64_t rows_read = 0;
  int64_t examples = 0;      ///< Rows kept.
  int64_t empty_source = 0;  ///< Rows dropped for it.
  int64_t empty_target = 0;
  int64_t duplicate_sources = 0;  ///< Examples whose exact source came earlier in the same split.
  LengthSummary source;
  LengthSummary target;
};

/// Sources that are in two splits.
struct LeakReport {
  std::string from;      ///< Split named first.
  std::string into;      ///< Later split.
  int64_t examples = 0;  ///< Examples of `into` whose exact source is in `from`.
};

/// What a person should see before training.
struct DataReport {
  std::vector<SplitReport> splits;
  std::vector<LeakReport> leaks;  ///< Every pair of splits, in order, those without leaks included.
};

/// A split for the report.
struct NamedDataset {
  std::string name;
  const Dataset* dataset;
};

/// Reports on `splits`; from token tables alone, so it costs no reading of texts.
DataReport make_data_report(const std::vector<NamedDataset>& splits);

}  // namespace txtsum::data
