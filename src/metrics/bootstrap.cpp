#include "txtsum/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/random.h"

namespace txtsum::metrics {
namespace {

// `width` columns of a row-major matrix, from `first` on.
struct Columns {
  std::span<const double> values;
  size_t stride;
  size_t first;
  size_t width;

  size_t rows() const { return values.size() / stride; }
};

// Means over the rows that `next_row` names. Rows are added one after another, as NumPy adds along the first axis.
template <typename NextRow>
void mean_of_resample(const Columns& columns, NextRow next_row, std::span<double> means) {
  std::fill(means.begin(), means.end(), 0.0);
  for (size_t drawn = 0; drawn < columns.rows(); ++drawn) {
    const double* row = &columns.values[next_row() * columns.stride + columns.first];
    for (size_t c = 0; c < columns.width; ++c) means[c] += row[c];
  }
  for (double& mean : means) mean /= static_cast<double>(columns.rows());
}

// NumPy's RandomState.randint below `bound`: the draw's low bits, drawn again while too large; none drawn for bound 1.
uint64_t numpy_below(std::mt19937& generator, uint64_t bound) {
  const uint64_t largest = bound - 1;
  if (largest == 0) return 0;
  uint64_t mask = largest;
  for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
  uint64_t draw = generator() & mask;
  while (draw > largest) draw = generator() & mask;
  return draw;
}

// np.percentile's linear method on sorted values; `percent` in [0, 100].
double percentile(const std::vector<double>& sorted, double percent) {
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  const double below = std::floor(place);
  const size_t at = static_cast<size_t>(below);
  const double low = sorted[at];
  const double high = sorted[std::min(at + 1, sorted.size() - 1)];
  const double share = place - below;
  return share >= 0.5 ? high - (high - low) * (1 - share) : low + (high - low) * share;
}

}  // namespace

std::string generator_name(ResampleGenerator generator) {
  return generator == ResampleGenerator::philox ? "philox" : "numpy_legacy";
}

std::vector<double> resample_means(std::span<const double> values, size_t columns, size_t groups,
                                   const BootstrapOptions& options) {
  if (options.resamples < 1) {
    throw core::UserError("bootstrap resamples must be at least 1, not " + std::to_string(options.resamples));
  }
  if (!(options.confidence >= 0 && options.confidence <= 1)) {
    throw core::UserError("bootstrap confidence must lie in [0, 1], not " + std::to_string(options.confidence));
  }
  TXTSUM_CHECK(columns > 0 && groups > 0 && columns % groups == 0, "columns ", columns, " groups ", groups);
  TXTSUM_CHECK(!values.empty() && values.size() % columns == 0, "values ", values.size(), " columns ", columns);
  const size_t resamples = static_cast<size_t>(options.resamples);
  std::vector<double> means(resamples * columns);
  if (options.generator == ResampleGenerator::philox) {
    const Columns all{values, columns, 0, columns};
#pragma omp parallel for
    for (size_t r = 0; r < resamples; ++r) {
      core::RandomStream random(options.seed, r);
      mean_of_resample(
          all, [&] { return random.next_below(all.rows()); }, std::span(&means[r * columns], columns));
    }
  } else {
    std::mt19937 generator(static_cast<uint32_t>(options.seed));
    const size_t width = columns / groups;
    for (size_t first = 0; first < columns; first += width) {
      const Columns group{values, columns, first, width};
      const auto next_row = [&] { return numpy_below(generator, group.rows()); };
      for (size_t r = 0; r < resamples; ++r) {
        mean_of_resample(group, next_row, std::span(&means[r * columns + first], width));
      }
    }
  }
  return means;
}

Interval percentile_interval(std::vector<double> means, double confidence) {
  std::sort(means.begin(), means.end());
  const double tail = (1 - confidence) / 2;
  return {percentile(means, 100 * tail), percentile(means, 50), percentile(means, 100 * (1 - tail))};
}

std::vector<Interval> bootstrap_means(std::span<const double> values, size_t columns, size_t groups,
                                      const BootstrapOptions& options) {
  const std::vector<double> means = resample_means(values, columns, groups, options);
  std::vector<Interval> intervals;
  for (size_t c = 0; c < columns; ++c) {
    std::vector<double> column;
    for (size_t at = c; at < means.size(); at += columns) column.push_back(means[at]);
    intervals.push_back(percentile_interval(std::move(column), options.confidence));
  }
  return intervals;
}

}  // namespace txtsum::metrics
