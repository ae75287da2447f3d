#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace txtsum::metrics {

/// Where the resamples' row numbers come from.
enum class ResampleGenerator {
  /// Resample r draws its rows from core::RandomStream(seed, r) with next_below(rows), the same for all columns: the
  /// same numbers on every machine and for any number of threads.
  philox,
  /// NumPy's legacy generator as rouge_score uses it: np.random.seed(seed), then for each group of columns and each
  /// resample one np.random.choice(rows, size=rows) (MT19937, masked rejection). Only the seed's low 32 bits count.
  numpy_legacy,
};

/// "philox" or "numpy_legacy".
std::string generator_name(ResampleGenerator generator);

struct BootstrapOptions {
  int resamples = 1000;
  /// Share of the resampled means inside the interval: 0.95 gives the 2.5th and the 97.5th percentile.
  double confidence = 0.95;
  uint64_t seed = 0;
  ResampleGenerator generator = ResampleGenerator::philox;
};

/// Percentiles of the resampled means; `middle` is their median, which is close to the mean and not equal to it.
struct Interval {
  double low = 0;
  double middle = 0;
  double high = 0;
};

/// Draws the rows of the row-major matrix `values` (rows x `columns`, at least one row) with replacement, as many as
/// there are, `options.resamples` times. Returns the mean of each column in each resample, row-major (resamples x
/// `columns`). `groups` divides `columns`: numpy_legacy draws the rows of each group of neighbouring columns anew,
/// philox does not look at it. Throws UserError for less than one resample or a confidence outside [0, 1].
std::vector<double> resample_means(std::span<const double> values, size_t columns, size_t groups,
                                   const BootstrapOptions& options);

/// The interval of `means`, one a resample, in any order. Percentiles are interpolated linearly between order
/// statistics, as np.percentile does.
Interval percentile_interval(std::vector<double> means, double confidence);

/// One Interval a column of resample_means() with the same arguments.
std::vector<Interval> bootstrap_means(std::span<const double> values, size_t columns, size_t groups,
                                      const BootstrapOptions& options);

}  // namespace txtsum::metrics
