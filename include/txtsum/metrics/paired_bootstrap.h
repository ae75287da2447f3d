#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "txtsum/metrics/bootstrap.h"

namespace txtsum::metrics {

/// How the mean scores of two systems differ on the same documents (docs/reports.md has the formulas).
struct PairedDifference {
  double first = 0;       ///< Mean of the first system.
  double second = 0;      ///< Mean of the second.
  double difference = 0;  ///< second - first.
  Interval interval;      ///< Of the difference, over resampled documents.
  /// Two-sided: how often resamples stray from the difference found by as much as it is, were there none.
  double p_value = 0;
  /// Share of the resamples in which the second system is better; a tie counts one half.
  double share_second_better = 0;
};

/// Compares `first` and `second`, row-major matrices of the same shape (documents x `columns`): documents are drawn
/// with replacement, the same ones for both systems and all columns. One result a column. Throws UserError for less
/// than two documents, and what resample_means() throws.
std::vector<PairedDifference> paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                               size_t columns, const BootstrapOptions& options);

}  // namespace txtsum::metrics
