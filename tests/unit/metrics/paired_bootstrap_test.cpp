#include "txtsum/metrics/paired_bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "txtsum/core/error.h"
#include "txtsum/core/json.h"
#include "txtsum/core/random.h"

namespace txtsum::metrics {
namespace {

core::Json numpy_fixture() {
  return core::read_json_file(std::string(TXTSUM_SOURCE_DIR) + "/tests/fixtures/metrics/paired_bootstrap.json");
}

TEST(PairedBootstrap, EqualsNumpyOnTheSameResamples) {
  const core::Json fixture = numpy_fixture();
  const auto first = fixture.at("first").get<std::vector<double>>();
  const auto second = fixture.at("second").get<std::vector<double>>();
  const BootstrapOptions options{.resamples = fixture.at("resamples").get<int>(),
                                 .seed = fixture.at("seed").get<uint64_t>(),
                                 .generator = ResampleGenerator::numpy_legacy};
  const auto found = paired_bootstrap(first, second, fixture.at("columns").get<size_t>(), options);
  ASSERT_EQ(found.size(), 3u);
  for (size_t c = 0; c < found.size(); ++c) {
    const auto wanted = [&](const char* name) { return fixture.at(name).at(c).get<double>(); };
    EXPECT_NEAR(found[c].difference, wanted("difference"), 1e-12);
    EXPECT_NEAR(found[c].second - found[c].first, wanted("difference"), 1e-12);
    EXPECT_NEAR(found[c].interval.low, wanted("low"), 1e-12);
    EXPECT_NEAR(found[c].interval.middle, wanted("middle"), 1e-12);
    EXPECT_NEAR(found[c].interval.high, wanted("high"), 1e-12);
    EXPECT_NEAR(found[c].p_value, wanted("p_value"), 1e-12);
    EXPECT_NEAR(found[c].share_second_better, wanted("better"), 1e-12);
  }
}

// Of many documents the mean difference is normal: the interval and both probabilities follow from its standard error.
TEST(PairedBootstrap, AgreesWithTheNormalDistribution) {
  core::RandomStream random(5, 0);
  std::vector<double> first, second;
  double sum = 0, squares = 0;
  constexpr int kDocuments = 2000;
  for (int i = 0; i < kDocuments; ++i) {
    const double shared = 20 * random.next_normal();  // what makes a document easy for both
    first.push_back(40 + shared);
    second.push_back(40 + shared + 0.15 + 4 * random.next_normal());
    const double difference = second.back() - first.back();
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / kDocuments;
  const double error = std::sqrt((squares / kDocuments - mean * mean) / kDocuments);
  const PairedDifference found = paired_bootstrap(first, second, 1, {.resamples = 20000})[0];
  const double z = std::abs(mean) / error;
  EXPECT_GT(z, 0.5);  // neither certain nor nothing, else the test says little
  EXPECT_LT(z, 3);
  EXPECT_NEAR(found.interval.low, mean - 1.95996 * error, 0.05 * error);
  EXPECT_NEAR(found.interval.high, mean + 1.95996 * error, 0.05 * error);
  EXPECT_NEAR(found.p_value, std::erfc(z / std::sqrt(2.0)), 0.01);
  EXPECT_NEAR(found.share_second_better, 1 - 0.5 * std::erfc(mean / error / std::sqrt(2.0)), 0.01);
}

TEST(PairedBootstrap, PairingTakesOutWhatDocumentsShare) {
  core::RandomStream random(6, 0);
  std::vector<double> first, second;
  for (int i = 0; i < 300; ++i) {
    first.push_back(50 + 20 * random.next_normal());
    second.push_back(first.back() + 0.5 + 0.1 * random.next_normal());
  }
  const PairedDifference found = paired_bootstrap(first, second, 1, {})[0];
  EXPECT_GT(found.interval.low, 0.45);
  EXPECT_LT(found.interval.high, 0.55);
  EXPECT_NEAR(found.p_value, 1.0 / 1001, 1e-12);
  EXPECT_EQ(found.share_second_better, 1);
}

TEST(PairedBootstrap, EqualSystemsDoNotDiffer) {
  const std::vector<double> scores{10, 20, 30, 40};
  const PairedDifference found = paired_bootstrap(scores, scores, 1, {})[0];
  EXPECT_EQ(found.difference, 0);
  EXPECT_EQ(found.interval.low, 0);
  EXPECT_EQ(found.interval.high, 0);
  EXPECT_EQ(found.p_value, 1);
  EXPECT_EQ(found.share_second_better, 0.5);
}

TEST(PairedBootstrap, RoundingOfSumsDecidesNothing) {
  // Of tenths the differences do not add up to 0 in binary; of ten times as much they do.
  const std::vector<double> first{10, 20, 30}, second{10.1, 20.2, 29.7}, tens{100, 200, 300}, tenths{101, 202, 297};
  const PairedDifference found = paired_bootstrap(first, second, 1, {}).front();
  const PairedDifference exact = paired_bootstrap(tens, tenths, 1, {}).front();
  EXPECT_EQ(found.difference, 0.0);
  EXPECT_FALSE(std::signbit(found.difference));
  EXPECT_EQ(found.p_value, 1.0);
  EXPECT_EQ(found.p_value, exact.p_value);
  EXPECT_EQ(found.share_second_better, exact.share_second_better);
}

TEST(PairedBootstrap, ExchangingTheSystemsMirrorsEverything) {
  const std::vector<double> first{10, 35, 30, 42, 5, 18}, second{12, 31, 37, 47, 4, 26};
  const PairedDifference there = paired_bootstrap(first, second, 1, {})[0];
  const PairedDifference back = paired_bootstrap(second, first, 1, {})[0];
  EXPECT_DOUBLE_EQ(there.difference, -back.difference);
  EXPECT_NEAR(there.interval.low, -back.interval.high, 1e-12);
  EXPECT_DOUBLE_EQ(there.p_value, back.p_value);
  EXPECT_NEAR(there.share_second_better, 1 - back.share_second_better, 1e-12);
}

TEST(PairedBootstrap, TheSeedDecides) {
  const std::vector<double> first{10, 35, 30, 42, 5, 18}, second{12, 31, 37, 47, 4, 26};
  const auto low = [&](uint64_t seed) { return paired_bootstrap(first, second, 1, {.seed = seed})[0].interval.low; };
  EXPECT_EQ(low(1), low(1));
  EXPECT_NE(low(1), low(2));
}

TEST(PairedBootstrap, OneDocumentIsRefused) {
  const double score = 1;
  EXPECT_THROW(paired_bootstrap({&score, 1}, {&score, 1}, 1, {}), core::UserError);
}

}  // namespace
}  // namespace txtsum::metrics
