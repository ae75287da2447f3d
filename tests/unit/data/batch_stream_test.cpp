#include "txtsum/data/batch_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "txtsum/core/error.h"

namespace txtsum::data {
namespace {

using ::testing::ElementsAre;

Dataset make_dataset(int32_t count) {
  std::vector<std::vector<int32_t>> sources;
  std::vector<std::vector<int32_t>> targets;
  for (int32_t i = 0; i < count; ++i) {
    sources.push_back(std::vector<int32_t>(static_cast<size_t>(i % 7 + 1), i));
    targets.push_back(std::vector<int32_t>(static_cast<size_t>(i % 3 + 1), 100 + i));
  }
  return Dataset::from_ids(sources, targets);
}

BatchStream make_stream(const Dataset& dataset, const BatchStreamOptions& options) {
  SamplerOptions sampler{SampleOrder::kLengthBucketed, 0, 30, 3, 9};
  return BatchStream(dataset, Sampler(dataset.token_counts(), dataset.target_counts(), sampler), options);
}

std::vector<RankBatch> take_all(BatchStream stream) {
  std::vector<RankBatch> batches;
  while (auto batch = stream.next()) batches.push_back(std::move(*batch));
  return batches;
}

TEST(RaggedBatch, PutsExamplesOneAfterTheOther) {
  const Dataset dataset = Dataset::from_ids({{1, 2, 3}, {4}, {}}, {{5}, {6, 7}, {8}});
  const RaggedBatch batch = collate(dataset, std::vector<int64_t>{1, 2, 0});
  EXPECT_THAT(batch.example_numbers, ElementsAre(1, 2, 0));
  EXPECT_THAT(batch.source_ids, ElementsAre(4, 1, 2, 3));
  EXPECT_THAT(batch.source_offsets, ElementsAre(0, 1, 1, 4));
  EXPECT_THAT(batch.target_ids, ElementsAre(6, 7, 8, 5));
  EXPECT_THAT(batch.target_offsets, ElementsAre(0, 2, 3, 4));
  EXPECT_THAT(collate(dataset, {}).source_offsets, ElementsAre(0));
  EXPECT_THROW(collate(dataset, std::vector<int64_t>{3}), core::InternalError);
}

TEST(Dataset, FingerprintStandsForIdsOrderAndWhereTextsEnd) {
  const std::vector<std::vector<int32_t>> a{{1, 2, 3}, {4, 5}}, b{{6}, {7, 8}};
  const std::string own = Dataset::from_ids(a, b).fingerprint();
  EXPECT_EQ(Dataset::from_ids(a, b).fingerprint(), own);
  EXPECT_NE(Dataset::from_ids({{4, 5}, {1, 2, 3}}, {{7, 8}, {6}}).fingerprint(), own);
  EXPECT_NE(Dataset::from_ids({{1, 2}, {3, 4, 5}}, b).fingerprint(), own);
  EXPECT_NE(Dataset::from_ids({{1, 2, 9}, {4, 5}}, b).fingerprint(), own);
}

TEST(BatchStream, GoesOnFromAnyPositionWithTheSameBatches) {
  const Dataset dataset = make_dataset(61);
  BatchStreamOptions options;
  options.epochs = 3;
  options.micro_batch_tokens = 12;
  const std::vector<RankBatch> whole = take_all(make_stream(dataset, options));
  ASSERT_GT(whole.size(), 20u);
  EXPECT_EQ(whole.front().position, (BatchPosition{0, 0}));
  EXPECT_EQ(whole.back().next, (BatchPosition{3, 0}));
  for (size_t i = 0; i < whole.size(); ++i) {
    options.begin = whole[i].next;
    const std::vector<RankBatch> rest = take_all(make_stream(dataset, options));
    ASSERT_EQ(rest.size(), whole.size() - i - 1);
    for (size_t k = 0; k < rest.size(); ++k) {
      const RankBatch& wanted = whole[i + 1 + k];
      EXPECT_EQ(rest[k].position, wanted.position);
      EXPECT_EQ(rest[k].ends_epoch, wanted.ends_epoch);
      ASSERT_EQ(rest[k].micro_batches.size(), wanted.micro_batches.size());
      for (size_t m = 0; m < wanted.micro_batches.size(); ++m) {
        EXPECT_EQ(rest[k].micro_batches[m].example_numbers, wanted.micro_batches[m].example_numbers);
        EXPECT_EQ(rest[k].micro_batches[m].source_ids, wanted.micro_batches[m].source_ids);
      }
    }
  }
}

TEST(BatchStream, RanksShareTheBatchesOfOneRank) {
  const Dataset dataset = make_dataset(50);
  BatchStreamOptions options;
  options.epochs = 1;
  const std::vector<RankBatch> alone = take_all(make_stream(dataset, options));
  std::vector<std::vector<int64_t>> shared(alone.size());
  options.ranks = 3;
  for (options.rank = 0; options.rank < options.ranks; ++options.rank) {
    const std::vector<RankBatch> share = take_all(make_stream(dataset, options));
    ASSERT_EQ(share.size(), alone.size());
    for (size_t i = 0; i < share.size(); ++i) {
      EXPECT_EQ(share[i].global_target_tokens, alone[i].global_target_tokens);
      for (const RaggedBatch& micro : share[i].micro_batches) {
        shared[i].insert(shared[i].end(), micro.example_numbers.begin(), micro.example_numbers.end());
      }
    }
  }
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_THAT(shared[i], ::testing::UnorderedElementsAreArray(alone[i].micro_batches[0].example_numbers));
    EXPECT_EQ(alone[i].global_target_tokens, static_cast<int64_t>(alone[i].micro_batches[0].target_ids.size()));
  }
}

TEST(BatchStream, RefusesAPositionOutsideItsEpoch) {
  const Dataset dataset = make_dataset(10);
  BatchStreamOptions options;
  options.begin = {0, 1000};
  EXPECT_THROW(make_stream(dataset, options), core::DataError);
}

}  // namespace
}  // namespace txtsum::data
