// What must change nothing: how many documents decode side by side, in which order they come, what else is there.

#include "txtsum/generate/generator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tiny_model.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::tests {
namespace {

constexpr uint64_t kSeed = 20261124;

class Generator : public testing::Test {
 protected:
  static generate::GenerationSettings settings(int64_t beams) {
    generate::GenerationSettings made;
    made.beams = beams;
    made.max_length = 18;
    made.eos_ids = {2};
    made.hypotheses = beams;
    made.slots = 4;
    return made;
  }
  static void expect_same(const Results& left, const Results& right) {
    ASSERT_EQ(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) {
      ASSERT_EQ(left[i].size(), right[i].size());
      for (size_t h = 0; h < left[i].size(); ++h) {
        EXPECT_EQ(left[i][h].ids, right[i][h].ids) << "document " << i << ", hypothesis " << h;
        EXPECT_NEAR(left[i][h].score, right[i][h].score, 1e-4);
      }
    }
  }
  model::LoadedModel loaded_ = load_tiny_model();
  const model::Seq2SeqModel& model_ = *loaded_.model;
  std::vector<std::vector<int32_t>> documents_ = draw_documents(19, kSeed);
};

TEST_F(Generator, TheNumberOfSlotsChangesNothing) {
  for (const int64_t beams : {1, 3}) {
    generate::GenerationSettings one = settings(beams);
    one.slots = 1;
    const Results alone = generate_all(model_, one, documents_);
    for (const int64_t slots : {2, 5, 64}) {
      generate::GenerationSettings many = settings(beams);
      many.slots = slots;
      expect_same(generate_all(model_, many, documents_), alone);
    }
  }
}

TEST_F(Generator, TheOrderOfDocumentsChangesNothing) {
  const Results forward = generate_all(model_, settings(3), documents_);
  std::vector<std::vector<int32_t>> reversed(documents_.rbegin(), documents_.rend());
  Results backward = generate_all(model_, settings(3), reversed);
  std::reverse(backward.begin(), backward.end());
  expect_same(backward, forward);
}

TEST_F(Generator, HypothesesComeBestFirstAndDiffer) {
  for (const auto& hypotheses : generate_all(model_, settings(4), documents_)) {
    ASSERT_EQ(hypotheses.size(), 4u);
    for (size_t h = 1; h < hypotheses.size(); ++h) {
      EXPECT_GE(hypotheses[h - 1].score, hypotheses[h].score);
      EXPECT_NE(hypotheses[h - 1].ids, hypotheses[h].ids);
    }
  }
}

/// The decoder run from the start over all that was written, without a cache.
at::Tensor next_logits(const model::Seq2SeqModel& model, const std::vector<int32_t>& source,
                       const std::vector<int64_t>& ids) {
  const at::NoGradGuard no_grad;
  const auto tokens = [](std::vector<int64_t> values) {
    const auto count = static_cast<int64_t>(values.size());
    return ops::to_device(ops::make_ragged_tokens(std::move(values), {0, count}, {0}), test_device());
  };
  const ops::RaggedTokens encoder_input = tokens({source.begin(), source.end()});
  const at::Tensor decoded = model.decode(tokens(ids), model.encode(encoder_input, {}), encoder_input, {});
  return model.logits(decoded).select(0, -1).cpu();
}

TEST_F(Generator, GreedyTakesTheBestTokenOfTheWholeDecoderEachTime) {
  const Results results = generate_all(model_, settings(1), documents_);
  for (size_t i = 0; i < 6; ++i) {
    std::vector<int64_t> ids{2};
    while (ids.size() < 18 && (ids.size() == 1 || ids.back() != 2)) {
      ids.push_back(next_logits(model_, documents_[i], ids).argmax().item<int64_t>());
    }
    EXPECT_EQ(results[i].front().ids, ids) << "document " << i;
  }
}

TEST_F(Generator, TheScoreIsTheMeanLogProbabilityOfTheIds) {
  generate::GenerationSettings beam = settings(3);
  beam.length_penalty = 1.0;
  const Results results = generate_all(model_, beam, documents_);
  for (size_t i = 0; i < 6; ++i) {
    for (const generate::Hypothesis& hypothesis : results[i]) {
      double sum = 0;
      for (size_t t = 1; t < hypothesis.ids.size(); ++t) {
        const std::vector<int64_t> before(hypothesis.ids.begin(), hypothesis.ids.begin() + static_cast<long>(t));
        sum += at::log_softmax(next_logits(model_, documents_[i], before), 0)[hypothesis.ids[t]].item<double>();
      }
      EXPECT_NEAR(hypothesis.score, sum / static_cast<double>(hypothesis.ids.size() - 1), 1e-4);
    }
  }
}

TEST_F(Generator, CountsTheRowsThatWereDecoded) {
  generate::GenerationSettings greedy = settings(1);
  int64_t tokens = 0;
  const generate::GenerationCounts counts =
      generate::generate(model_, greedy, source_set(documents_), [&](int64_t, std::vector<generate::Hypothesis> found) {
        tokens += static_cast<int64_t>(found.front().ids.size()) - 1;
      });
  EXPECT_EQ(counts.decoder_rows, tokens);
  EXPECT_GT(counts.self_positions, static_cast<double>(tokens));
  EXPECT_GT(counts.cross_positions, static_cast<double>(tokens));
}

TEST_F(Generator, AStopSignalEndsItBetweenStepsAndKeepsWhatIsFinished) {
  generate::GenerationSettings one = settings(2);
  one.slots = 1;
  int finished = 0;
  const auto sink = [&](int64_t, const std::vector<generate::Hypothesis>&) {
    if (++finished == 3) core::set_stop_signal(15);
  };
  EXPECT_THROW(generate::generate(model_, one, source_set(documents_), sink), core::StoppedBySignal);
  core::set_stop_signal(0);
  EXPECT_EQ(finished, 3);
}

TEST_F(Generator, WhatIsCalledBetweenStepsMayEndItAndKeepsWhatIsFinished) {
  generate::GenerationSettings one = settings(2);
  one.slots = 1;
  int finished = 0, steps = 0;
  const auto sink = [&](int64_t, const std::vector<generate::Hypothesis>&) { ++finished; };
  const auto between_steps = [&] {
    ++steps;
    if (finished == 3) throw core::StoppedBySignal("enough", 15);
  };
  EXPECT_THROW(generate::generate(model_, one, source_set(documents_), sink, between_steps), core::StoppedBySignal);
  EXPECT_EQ(finished, 3);
  EXPECT_GT(steps, 3);
}

TEST_F(Generator, ATableOfWeightsThatAreNoNumbersIsAnError) {
  loaded_.model->arena().values().fill_(std::numeric_limits<float>::quiet_NaN());
  for (const int64_t beams : {1, 3}) EXPECT_THROW(generate_all(model_, settings(beams), documents_), core::DataError);
}

TEST_F(Generator, RulesThatForbidEveryTokenAreAnError) {
  for (const int64_t beams : {1, 3}) {
    generate::GenerationSettings all = settings(beams);
    for (int64_t id = 0; id < model_.facts().vocabulary; ++id) all.suppress_tokens.push_back(id);
    EXPECT_THROW(generate_all(model_, all, documents_), core::DataError);
  }
}

TEST_F(Generator, NoDocumentsGiveNoSummaries) { EXPECT_TRUE(generate_all(model_, settings(2), {}).empty()); }

}  // namespace
}  // namespace txtsum::tests
