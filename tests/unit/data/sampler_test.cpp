#include "txtsum/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "txtsum/core/random.h"

namespace txtsum::data {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> random_lengths(int64_t count, uint64_t seed, uint64_t largest) {
  core::RandomStream random(seed, 0);
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < count; ++i) lengths.push_back(static_cast<int64_t>(random.next_below(largest)) + 2);
  return lengths;
}

std::vector<std::vector<int64_t>> examples_of(const std::vector<GlobalBatch>& batches) {
  std::vector<std::vector<int64_t>> examples;
  for (const GlobalBatch& batch : batches) examples.push_back(batch.examples);
  return examples;
}

int64_t sum_of(const std::vector<int64_t>& values, const std::vector<int64_t>& examples) {
  int64_t sum = 0;
  for (const int64_t example : examples) sum += values[static_cast<size_t>(example)];
  return sum;
}

struct Setting {
  SampleOrder order;
  int64_t batch_examples;
  int64_t batch_tokens;
};

class SamplerTest : public ::testing::TestWithParam<Setting> {
 protected:
  SamplerOptions options(uint64_t seed) const {
    return {GetParam().order, GetParam().batch_examples, GetParam().batch_tokens, 4, seed};
  }
};

TEST_P(SamplerTest, HasEveryExampleOnceAndKeepsTheBudget) {
  for (const int64_t count : {1, 7, 64, 501}) {
    const std::vector<int64_t> tokens = random_lengths(count, 5, 90);
    const std::vector<int64_t> targets = random_lengths(count, 6, 20);
    const Sampler sampler(tokens, targets, options(3));
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::set<int64_t> seen;
      for (const GlobalBatch& batch : sampler.epoch(epoch)) {
        EXPECT_EQ(batch.target_tokens, sum_of(targets, batch.examples));
        for (const int64_t example : batch.examples) EXPECT_TRUE(seen.insert(example).second);
        if (GetParam().batch_examples > 0) {
          EXPECT_LE(static_cast<int64_t>(batch.examples.size()), GetParam().batch_examples);
        }
        if (GetParam().batch_tokens > 0 && batch.examples.size() > 1) {
          EXPECT_LE(sum_of(tokens, batch.examples), GetParam().batch_tokens);
        }
      }
      EXPECT_EQ(static_cast<int64_t>(seen.size()), count);
    }
  }
}

TEST_P(SamplerTest, IsAFunctionOfSeedAndEpoch) {
  const std::vector<int64_t> tokens = random_lengths(200, 5, 90);
  const Sampler sampler(tokens, tokens, options(3));
  EXPECT_EQ(examples_of(sampler.epoch(2)), examples_of(Sampler(tokens, tokens, options(3)).epoch(2)));
  const bool shuffles = GetParam().order != SampleOrder::kSequential;
  EXPECT_EQ(examples_of(sampler.epoch(2)) != examples_of(sampler.epoch(1)), shuffles);
  EXPECT_EQ(examples_of(sampler.epoch(2)) != examples_of(Sampler(tokens, tokens, options(4)).epoch(2)), shuffles);
}

TEST_P(SamplerTest, CountsTheBatchesOfAllEpochs) {
  const std::vector<int64_t> tokens = random_lengths(333, 5, 90);
  const Sampler sampler(tokens, tokens, options(3));
  int64_t count = 0;
  for (int64_t epoch = 0; epoch < 4; ++epoch) count += static_cast<int64_t>(sampler.epoch(epoch).size());
  EXPECT_EQ(sampler.count_batches(4), count);
  EXPECT_EQ(sampler.count_batches(0), 0);
}

INSTANTIATE_TEST_SUITE_P(Settings, SamplerTest,
                         ::testing::Values(Setting{SampleOrder::kSequential, 8, 0},
                                           Setting{SampleOrder::kSequential, 0, 60},
                                           Setting{SampleOrder::kRandom, 8, 0}, Setting{SampleOrder::kRandom, 0, 300},
                                           Setting{SampleOrder::kLengthBucketed, 8, 0},
                                           Setting{SampleOrder::kLengthBucketed, 0, 300}));

TEST(Sampler, GivesTheSameOrderOnEveryPlatform) {
  const std::vector<int64_t> tokens = {9, 2, 7, 4, 5, 6, 3, 8, 1, 10};
  const Sampler random(tokens, tokens, {SampleOrder::kRandom, 4, 0, 50, 42});
  const Sampler bucketed(tokens, tokens, {SampleOrder::kLengthBucketed, 0, 12, 2, 42});
  EXPECT_THAT(examples_of(random.epoch(1)),
              ElementsAre(ElementsAre(8, 9, 5, 7), ElementsAre(6, 0, 4, 3), ElementsAre(1, 2)));
  EXPECT_THAT(examples_of(bucketed.epoch(1)), ElementsAre(ElementsAre(4, 2), ElementsAre(8, 5), ElementsAre(9),
                                                          ElementsAre(0), ElementsAre(7), ElementsAre(1, 6, 3)));
}

TEST(Sampler, BucketsPutLikeLengthsTogether) {
  const std::vector<int64_t> tokens = random_lengths(2000, 1, 1000);
  const auto spread = [&](SampleOrder order) {
    int64_t sum = 0;
    for (const GlobalBatch& batch : Sampler(tokens, tokens, {order, 10, 0, 50, 7}).epoch(0)) {
      const auto [low, high] = std::minmax_element(
          batch.examples.begin(), batch.examples.end(),
          [&](int64_t a, int64_t b) { return tokens[static_cast<size_t>(a)] < tokens[static_cast<size_t>(b)]; });
      sum += tokens[static_cast<size_t>(*high)] - tokens[static_cast<size_t>(*low)];
    }
    return sum;
  };
  EXPECT_LT(spread(SampleOrder::kLengthBucketed) * 10, spread(SampleOrder::kRandom));
}

TEST(MicroBatches, KeepLimitBalanceAndEveryExample) {
  core::RandomStream random(11, 0);
  for (int round = 0; round < 300; ++round) {
    const auto count = static_cast<int64_t>(random.next_below(40));
    const std::vector<int64_t> tokens = random_lengths(count, static_cast<uint64_t>(round), 100);
    GlobalBatch batch;
    for (int64_t i = count; i > 0; --i) batch.examples.push_back(i - 1);
    const auto ranks = static_cast<int64_t>(random.next_below(4)) + 1;
    const auto limit = static_cast<int64_t>(random.next_below(400));
    const auto cut = cut_into_micro_batches(batch, tokens, limit, ranks);
    ASSERT_EQ(static_cast<int64_t>(cut.size()), ranks);
    std::set<int64_t> seen;
    for (const auto& rank : cut) {
      EXPECT_EQ(rank.size(), cut[0].size());
      for (const std::vector<int64_t>& examples : rank) {
        if (limit > 0 && examples.size() > 1) {
          EXPECT_LE(sum_of(tokens, examples), limit);
        }
        EXPECT_TRUE(std::is_sorted(examples.rbegin(), examples.rend()));  // the batch's order, which is downwards here
        for (const int64_t example : examples) EXPECT_TRUE(seen.insert(example).second);
      }
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), count);
  }
}

TEST(MicroBatches, AreFewAndEven) {
  const std::vector<int64_t> tokens = {50, 10, 40, 30, 20, 50};
  const GlobalBatch batch = {{0, 1, 2, 3, 4, 5}, 0};
  EXPECT_THAT(cut_into_micro_batches(batch, tokens, 0, 1), ElementsAre(ElementsAre(batch.examples)));
  const auto two = cut_into_micro_batches(batch, tokens, 100, 1);
  ASSERT_EQ(two[0].size(), 2u);
  EXPECT_EQ(sum_of(tokens, two[0][0]), 100);
  EXPECT_EQ(sum_of(tokens, two[0][1]), 100);
  const auto ranks = cut_into_micro_batches(batch, tokens, 0, 2);
  EXPECT_EQ(sum_of(tokens, ranks[0][0]), 100);
  // An example over the limit is alone, and fewer examples than ranks leave an empty micro-batch.
  EXPECT_THAT(cut_into_micro_batches({{0}, 0}, tokens, 5, 2),
              ElementsAre(ElementsAre(ElementsAre(0)), ElementsAre(ElementsAre())));
}

}  // namespace
}  // namespace txtsum::data
