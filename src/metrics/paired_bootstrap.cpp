#include "txtsum/metrics/paired_bootstrap.h"

#include <cmath>
#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"

namespace txtsum::metrics {
namespace {

double mean_of_column(std::span<const double> values, size_t columns, size_t column) {
  double sum = 0;
  for (size_t at = column; at < values.size(); at += columns) sum += values[at];
  return sum / static_cast<double>(values.size() / columns);
}

/// Sums of the same scores in another order differ in their last bits, which must not decide. Scores have four
/// decimals, and so a mean over fewer than 10^5 documents is 0 or further from it than this.
constexpr double kNoise = 1e-9;

double without_noise(double value) { return std::abs(value) < kNoise ? 0.0 : value; }

/// (1 + resamples whose distance from `difference` is at least its distance from 0) / (1 + resamples).
double two_sided_p_value(const std::vector<double>& resampled, double difference) {
  const double distance = std::abs(difference) - kNoise;
  size_t as_far = 0;
  for (const double value : resampled) as_far += std::abs(value - difference) >= distance;
  return static_cast<double>(1 + as_far) / static_cast<double>(1 + resampled.size());
}

double share_above_zero(const std::vector<double>& resampled) {
  double count = 0;
  for (const double value : resampled) count += value > 0 ? 1.0 : value == 0 ? 0.5 : 0.0;
  return count / static_cast<double>(resampled.size());
}

}  // namespace

std::vector<PairedDifference> paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                               size_t columns, const BootstrapOptions& options) {
  TXTSUM_CHECK(columns > 0 && first.size() == second.size() && first.size() % columns == 0, "first ", first.size(),
               " second ", second.size(), " columns ", columns);
  if (first.size() < 2 * columns) throw core::UserError("a comparison needs at least two documents");
  std::vector<double> differences;
  differences.reserve(first.size());
  for (size_t i = 0; i < first.size(); ++i) differences.push_back(second[i] - first[i]);
  const std::vector<double> means = resample_means(differences, columns, 1, options);
  std::vector<PairedDifference> results;
  for (size_t c = 0; c < columns; ++c) {
    std::vector<double> resampled;
    for (size_t at = c; at < means.size(); at += columns) resampled.push_back(without_noise(means[at]));
    PairedDifference result;
    result.first = mean_of_column(first, columns, c);
    result.second = mean_of_column(second, columns, c);
    result.difference = without_noise(mean_of_column(differences, columns, c));
    result.p_value = two_sided_p_value(resampled, result.difference);
    result.share_second_better = share_above_zero(resampled);
    result.interval = percentile_interval(std::move(resampled), options.confidence);
    results.push_back(result);
  }
  return results;
}

}  // namespace txtsum::metrics
