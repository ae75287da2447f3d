#include "txtsum/metrics/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "txtsum/core/error.h"
#include "txtsum/core/random.h"

namespace txtsum::metrics {
namespace {

// The definition, written out with other loops.
Interval reference_interval(const std::vector<double>& column, const BootstrapOptions& options) {
  std::vector<double> means;
  for (int r = 0; r < options.resamples; ++r) {
    core::RandomStream random(options.seed, static_cast<uint64_t>(r));
    double sum = 0;
    for (size_t i = 0; i < column.size(); ++i) sum += column[random.next_below(column.size())];
    means.push_back(sum / static_cast<double>(column.size()));
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(means.size() - 1);
    return std::lerp(means[static_cast<size_t>(place)], means[static_cast<size_t>(std::ceil(place))],
                     place - std::floor(place));
  };
  const double tail = (1 - options.confidence) / 2;
  return {at(tail), at(0.5), at(1 - tail)};
}

TEST(Bootstrap, FollowsItsDefinition) {
  std::vector<double> values(40);
  std::iota(values.begin(), values.end(), 0.0);
  std::vector<double> even, odd;
  for (size_t i = 0; i < 20; ++i) {
    even.push_back(values[2 * i]);
    odd.push_back(values[2 * i + 1]);
  }
  const BootstrapOptions options{.resamples = 200, .confidence = 0.9, .seed = 11};
  const auto intervals = bootstrap_means(values, 2, 1, options);
  for (size_t c = 0; c < 2; ++c) {
    const Interval wanted = reference_interval(c == 0 ? even : odd, options);
    EXPECT_NEAR(intervals[c].low, wanted.low, 1e-12);
    EXPECT_NEAR(intervals[c].middle, wanted.middle, 1e-12);
    EXPECT_NEAR(intervals[c].high, wanted.high, 1e-12);
  }
}

TEST(Bootstrap, CoversTheStandardErrorOfTheMean) {
  std::vector<double> values(400);
  std::iota(values.begin(), values.end(), 0.0);
  const Interval interval = bootstrap_means(values, 1, 1, {})[0];
  const double standard_error = 400 / std::sqrt(12.0) / 20;
  EXPECT_NEAR(interval.low, 199.5 - 1.96 * standard_error, 1);
  EXPECT_NEAR(interval.middle, 199.5, 0.6);
  EXPECT_NEAR(interval.high, 199.5 + 1.96 * standard_error, 1);
}

TEST(Bootstrap, OneRowGivesAPoint) {
  const double value = 0.25;
  for (const auto generator : {ResampleGenerator::philox, ResampleGenerator::numpy_legacy}) {
    const Interval interval = bootstrap_means({&value, 1}, 1, 1, {.generator = generator})[0];
    EXPECT_EQ(interval.low, value);
    EXPECT_EQ(interval.middle, value);
    EXPECT_EQ(interval.high, value);
  }
}

TEST(Bootstrap, RefusesImpossibleOptions) {
  const double value = 1;
  EXPECT_THROW(bootstrap_means({&value, 1}, 1, 1, {.resamples = 0}), core::UserError);
  EXPECT_THROW(bootstrap_means({&value, 1}, 1, 1, {.confidence = 1.5}), core::UserError);
  EXPECT_THROW(bootstrap_means({&value, 1}, 1, 1, {.confidence = std::nan("")}), core::UserError);
}

}  // namespace
}  // namespace txtsum::metrics
