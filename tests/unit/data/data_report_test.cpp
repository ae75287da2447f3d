#include "txtsum/data/data_report.h"

#include <gtest/gtest.h>

namespace txtsum::data {
namespace {

Dataset make_dataset(const std::vector<uint64_t>& sources, const std::vector<int64_t>& full_lengths, int64_t limit) {
  TokenTableBuilder builder;
  for (size_t i = 0; i < sources.size(); ++i) {
    const int64_t kept = std::min(full_lengths[i], limit);
    builder.add({std::vector<int32_t>(static_cast<size_t>(kept), 1), {1, 2}, full_lengths[i], 2, sources[i], 0});
  }
  return Dataset(builder.finish({static_cast<int64_t>(sources.size()) + 3, 1, 2}));
}

TEST(DataReport, CountsLengthsCutsDuplicatesAndLeaks) {
  std::vector<uint64_t> sources;
  std::vector<int64_t> lengths;
  for (uint64_t i = 1; i <= 200; ++i) {
    sources.push_back(i);
    lengths.push_back(static_cast<int64_t>(i));
  }
  sources[3] = sources[4] = sources[5];
  const Dataset train = make_dataset(sources, lengths, 190);
  const Dataset test = make_dataset({7, 1000, 7, 6}, {1, 2, 3, 4}, 100);
  const DataReport report = make_data_report({{"train", &train}, {"test", &test}});
  ASSERT_EQ(report.splits.size(), 2u);
  const SplitReport& split = report.splits[0];
  EXPECT_EQ(split.name, "train");
  EXPECT_EQ(split.rows_read, 203);
  EXPECT_EQ(split.examples, 200);
  EXPECT_EQ(split.empty_source, 1);
  EXPECT_EQ(split.empty_target, 2);
  EXPECT_EQ(split.duplicate_sources, 2);
  EXPECT_EQ(split.source.min, 1);
  EXPECT_EQ(split.source.p50, 100);
  EXPECT_EQ(split.source.p90, 180);
  EXPECT_EQ(split.source.p99, 198);
  EXPECT_EQ(split.source.max, 200);
  EXPECT_DOUBLE_EQ(split.source.mean, 100.5);
  EXPECT_EQ(split.source.truncated, 10);
  EXPECT_EQ(split.source.truncated_tokens, 55);
  ASSERT_EQ(split.source.limits.size(), 2u);  // 64 and 128; nothing is longer than 256
  EXPECT_EQ(split.source.limits[1].limit, 128);
  EXPECT_EQ(split.source.limits[1].truncated, 72);
  EXPECT_EQ(split.source.limits[1].kept_tokens, 128 * 129 / 2 + 72 * 128);
  EXPECT_EQ(split.target.truncated, 0);
  EXPECT_TRUE(split.target.limits.empty());
  EXPECT_EQ(split.target.p50, 2);
  EXPECT_EQ(report.splits[1].duplicate_sources, 1);
  ASSERT_EQ(report.leaks.size(), 1u);
  EXPECT_EQ(report.leaks[0].from, "train");
  EXPECT_EQ(report.leaks[0].into, "test");
  EXPECT_EQ(report.leaks[0].examples, 3);
}

TEST(DataReport, TakesAnEmptySplit) {
  const Dataset none = make_dataset({}, {}, 1);
  const LengthSummary source = make_data_report({{"train", &none}}).splits[0].source;
  EXPECT_EQ(source.max, 0);
  EXPECT_TRUE(source.limits.empty());
}

}  // namespace
}  // namespace txtsum::data
