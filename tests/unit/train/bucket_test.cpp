// Rounding micro-batches up to buckets: what it may change (shapes) and what not (loss, gradients).

#include "train/bucket.h"

#include <gtest/gtest.h>

#include <cmath>

#include <set>

#include "fake_model.h"
#include "support/test_device.h"
#include "train/batch_slot.h"
#include "txtsum/ops/dropout_key.h"

namespace txtsum::tests {
namespace {

ops::RaggedTokens draw_side(const std::vector<int64_t>& lengths, int64_t vocabulary) {
  std::vector<int64_t> offsets{0}, examples;
  for (const int64_t length : lengths) {
    offsets.push_back(offsets.back() + length);
    examples.push_back(100 + static_cast<int64_t>(examples.size()));
  }
  const at::Tensor ids = at::randint(vocabulary, {offsets.back()}, at::kLong);
  const int64_t* data = ids.const_data_ptr<int64_t>();
  return ops::make_ragged_tokens({data, data + ids.numel()}, offsets, examples);
}

train::MicroBatch draw_batch(const std::vector<int64_t>& source, const std::vector<int64_t>& target,
                             int64_t vocabulary = 20) {
  return {draw_side(source, vocabulary), draw_side(target, vocabulary)};
}

model::ModelFacts facts_of(int64_t positions) {
  model::ModelFacts facts;
  facts.max_source_tokens = facts.max_target_tokens = positions;
  return facts;
}

TEST(Bucket, HoldsTheBatchAndWastesAtMostAStep) {
  at::manual_seed(5);
  for (int round = 0; round < 300; ++round) {
    const int64_t sequences = at::randint(1, 40, {1}).item<int64_t>();
    std::vector<int64_t> source, target;
    for (int64_t b = 0; b < sequences; ++b) {
      source.push_back(at::randint(1, 900, {1}).item<int64_t>());
      target.push_back(at::randint(1, 130, {1}).item<int64_t>());
    }
    const train::MicroBatch batch = draw_batch(source, target);
    const train::Bucket bucket = train::bucket_of(batch, facts_of(1000));
    const int64_t both = batch.source.tokens() + batch.labels.tokens();
    const int64_t step = std::max({int64_t{64}, std::min<int64_t>(128, both / 8), both / 32});
    const auto check = [&](int64_t tokens, int64_t rounded) {
      EXPECT_GE(rounded, tokens);
      EXPECT_LE(rounded - tokens, step + 8);
    };
    check(batch.source.tokens(), bucket.source_tokens);
    check(batch.labels.tokens(), bucket.target_tokens);
    EXPECT_GE(bucket.longest_source, batch.source.longest);
    EXPECT_LE(bucket.longest_source, 1000);
    EXPECT_GE(bucket.longest_target, batch.labels.longest);
    const train::MicroBatch padded = train::pad_to(batch, bucket, 1);
    EXPECT_EQ(padded.source.sequences(), bucket.slots);
    EXPECT_EQ(padded.labels.sequences(), bucket.slots);
    EXPECT_EQ(padded.source.tokens(), bucket.source_tokens);
    EXPECT_EQ(padded.labels.tokens(), bucket.target_tokens);
    for (const ops::RaggedTokens* side : {&padded.source, &padded.labels}) {
      for (size_t b = 0; b + 1 < side->offsets.size(); ++b) {
        EXPECT_LE(side->offsets[b + 1] - side->offsets[b], side->longest);
        EXPECT_GT(side->offsets[b + 1] - side->offsets[b], 0) << "slot " << b;
      }
    }
    EXPECT_TRUE(at::equal(padded.source.ids_N.slice(0, 0, batch.source.tokens()), batch.source.ids_N));
    EXPECT_TRUE(at::equal(padded.source.positions_N.slice(0, 0, batch.source.tokens()), batch.source.positions_N));
    EXPECT_TRUE(at::equal(padded.labels.examples_N.slice(0, 0, batch.labels.tokens()), batch.labels.examples_N));
  }
}

data::BatchExtent extent_of(const train::MicroBatch& batch) {
  const int64_t sequences = batch.source.sequences();
  return {batch.source.tokens(), batch.labels.tokens(), sequences, sequences,
          batch.source.longest,  batch.labels.longest};
}

TEST(Bucket, RanksRoundUpAlike) {
  at::manual_seed(6);
  int64_t alone = 0;
  for (int round = 0; round < 200; ++round) {
    // As many tokens on each rank, about, in other numbers of sequences.
    std::vector<train::MicroBatch> ranks;
    const int64_t tokens = at::randint(300, 9000, {1}).item<int64_t>();
    for (int rank = 0; rank < 4; ++rank) {
      std::vector<int64_t> source, target;
      for (int64_t left = tokens; left > 0; left -= source.back() + target.back()) {
        source.push_back(at::randint(1, 300, {1}).item<int64_t>());
        target.push_back(at::randint(1, 60, {1}).item<int64_t>());
      }
      ranks.push_back(draw_batch(source, target));
    }
    data::BatchExtent all = extent_of(ranks.front());
    for (const train::MicroBatch& batch : ranks) all.cover(extent_of(batch));
    const train::Bucket shared = train::rounded_up(all, facts_of(1024));
    for (train::MicroBatch& batch : ranks) {
      batch.of_ranks = all;
      const train::Bucket bucket = train::bucket_of(batch, facts_of(1024));
      if (!(bucket == shared)) ++alone;
      const train::MicroBatch padded = train::pad_to(batch, bucket, 1);
      EXPECT_EQ(padded.source.tokens(), bucket.source_tokens);
      EXPECT_EQ(padded.labels.tokens(), bucket.target_tokens);
      EXPECT_EQ(padded.source.sequences(), bucket.slots);
    }
  }
  EXPECT_EQ(alone, 0);
}

TEST(Bucket, ARankThatCannotBeFilledUpToTheOthersHasItsOwn) {
  // Sequences enough for all slots but one, which cannot take a thousand tokens.
  train::MicroBatch few = draw_batch(std::vector<int64_t>(7, 1), std::vector<int64_t>(7, 1));
  few.of_ranks = data::BatchExtent{1400, 1400, 7, 7, 200, 200};
  const train::Bucket bucket = train::bucket_of(few, facts_of(256));
  EXPECT_LT(bucket.source_tokens, 256);
  EXPECT_EQ(train::pad_to(few, bucket, 1).source.tokens(), bucket.source_tokens);
}

TEST(Bucket, NeighbouringBatchesShareOne) {
  std::set<train::Bucket> buckets;
  for (int64_t more = 0; more < 64; ++more) {
    buckets.insert(train::bucket_of(draw_batch({300, 500 + more, 100, 125}, {30, 40, 20, 10}), facts_of(1024)));
  }
  EXPECT_LE(buckets.size(), 3u);
}

TEST(Bucket, DocumentsThatAreAllCutAtTheLimitHardlyWasteAnything) {
  const std::vector<int64_t> source(16, 1024), target(16, 128);
  const train::Bucket bucket = train::bucket_of(draw_batch(source, target), facts_of(1024));
  EXPECT_EQ(bucket.source_tokens, 16 * 1024 + 64);
  EXPECT_EQ(bucket.target_tokens, 16 * 128 + 64);
  EXPECT_EQ(bucket.slots, 24);
}

/// FakeModel takes the mean over a source, which a pad sequence must not reach.
TEST(Bucket, PaddingChangesNeitherLossNorGradients) {
  at::manual_seed(6);
  FakeModel plain(at::kFloat, {}, 0.3), padded(at::kFloat, {}, 0.3);
  const train::MicroBatch batch = draw_batch({5, 1, 9}, {4, 6, 2});
  train::Bucket bucket{32, 16, 3 + 4, 9, 6};
  const train::MicroBatch filled = train::pad_to(batch, bucket, 1);
  const auto run = [](FakeModel& model, const train::MicroBatch& micro_batch) {
    model.arena().allocate_gradients(at::kFloat);
    model::ForwardContext context;
    context.training = true;
    context.seed = 3;
    context.update = 4;
    const model::LossSum sum = model.loss(micro_batch.source, micro_batch.labels, 0.1, context);
    sum.loss.backward();
    return sum;
  };
  const model::LossSum a = run(plain, batch), b = run(padded, filled);
  EXPECT_TRUE(at::allclose(a.loss, b.loss, 1e-6));
  EXPECT_TRUE(at::allclose(a.nll, b.nll, 1e-6));
  EXPECT_TRUE(at::allclose(plain.arena().gradients(), padded.arena().gradients(), 1e-5, 1e-7));
  EXPECT_GT(plain.arena().gradients().abs().max().item<double>(), 0.0);
}

TEST(BatchSlot, HoldsWhatItWasFilledWithAndStaysWhereItIs) {
  at::manual_seed(7);
  const train::MicroBatch first = draw_batch({5, 1, 9}, {4, 6, 2}), second = draw_batch({7, 7, 2}, {1, 1, 11});
  const train::Bucket bucket{64, 64, 8, 32, 32};
  train::BatchSlot slot(bucket, test_device());
  ops::DeviceCopies copies(test_device());
  const void* place = slot.batch().labels.ids_N.const_data_ptr();
  for (const train::MicroBatch* batch : {&first, &second}) {
    const train::MicroBatch padded = train::pad_to(*batch, bucket, 1);
    slot.fill(padded, 11, 12, copies);
    for (const auto& [ours, wanted] :
         {std::pair(slot.batch().source, padded.source), {slot.batch().labels, padded.labels}}) {
      EXPECT_TRUE(at::equal(ours.ids_N.cpu(), wanted.ids_N));
      EXPECT_TRUE(at::equal(ours.positions_N.cpu(), wanted.positions_N));
      EXPECT_TRUE(at::equal(ours.examples_N.cpu(), wanted.examples_N));
      EXPECT_TRUE(at::equal(ours.offsets_B1.cpu(), wanted.offsets_B1));
      EXPECT_EQ(ours.tokens(), wanted.tokens());
      EXPECT_EQ(ours.sequences(), wanted.sequences());
      EXPECT_EQ(ours.longest, wanted.longest);
    }
    EXPECT_EQ(slot.batch().labels.ids_N.const_data_ptr(), place);
    const auto words = ops::dropout_words(11, 12);
    EXPECT_EQ(slot.dropout_words_2()[0].item<int32_t>(), static_cast<int32_t>(words[0]));
    EXPECT_EQ(slot.dropout_words_2()[1].item<int32_t>(), static_cast<int32_t>(words[1]));
  }
}

TEST(BatchSlot, HoldsTheEncodersOutputsWithZerosBehindThem) {
  const train::Bucket bucket{64, 64, 8, 32, 32};
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    // Of a larger bucket, say; what was in it must not be seen.
    const at::Tensor room = at::full({100, 12}, NAN, at::TensorOptions(test_device()).dtype(type));
    train::BatchSlot slot(bucket, test_device(), room);
    ops::DeviceCopies copies(test_device());
    for (const int64_t tokens : {15, 9}) {
      train::MicroBatch batch = draw_batch({tokens - 2, 2}, {4, 6});
      batch.encoded_ND = at::randn({tokens, 12}).to(type);
      slot.fill(train::pad_to(batch, bucket, 1), 11, 12, copies);
      const at::Tensor found = slot.batch().encoded_ND.cpu();
      EXPECT_EQ(found.scalar_type(), type);
      EXPECT_EQ(found.size(0), 64);
      EXPECT_TRUE(at::equal(found.narrow(0, 0, tokens), batch.encoded_ND));
      EXPECT_EQ(found.narrow(0, tokens, 64 - tokens).count_nonzero().item<int64_t>(), 0);
      EXPECT_EQ(slot.dropout_words_2()[0].item<int32_t>(), static_cast<int32_t>(ops::dropout_words(11, 12)[0]));
    }
  }
}

TEST(BatchSlot, WhatIsFilledInWhileOthersAreReadReachesItsOwnReader) {
  const train::Bucket bucket{4096, 4096, 200, 32, 32};
  train::BatchSlot slot(bucket, test_device());
  ops::DeviceCopies copies(test_device());
  std::vector<at::Tensor> sums;
  std::vector<int64_t> wanted;
  for (int64_t round = 0; round < 40; ++round) {
    train::MicroBatch padded = train::pad_to(draw_batch({5, 1, 9}, {4, 6, 2}), bucket, 1);
    padded.source.ids_N.fill_(round * round);
    slot.fill(padded, 11, round, copies);
    sums.push_back(slot.batch().source.ids_N.sum());  // read on the device, looked at when all are on their way
    wanted.push_back(4096 * round * round);
  }
  for (size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i].item<int64_t>(), wanted[i]) << i;
}

}  // namespace
}  // namespace txtsum::tests
