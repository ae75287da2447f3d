#include "txtsum/metrics/rouge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <cstring>
#include <sstream>

#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/metrics/sentence_splitter.h"

namespace txtsum::metrics {
namespace {

const std::string kFixtures = TXTSUM_SOURCE_DIR "/tests/fixtures/rouge/";

// Pairs and the scores that rouge_score gives them (scripts/reference/make_rouge_fixtures.py).
struct Fixture {
  std::vector<std::string> targets;
  std::vector<std::string> predictions;
  std::vector<double> scores;

  Score score(size_t pair, bool stem, size_t kind) const {
    const double* at = &scores[pair * 24 + (stem ? 12 : 0) + 3 * kind];
    return {at[0], at[1], at[2]};
  }
};

const Fixture& fixture() {
  static const Fixture loaded = [] {
    Fixture result;
    std::istringstream lines(core::read_file(kFixtures + "pairs.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const auto pair = core::Json::parse(line);
      result.targets.push_back(pair[0]);
      result.predictions.push_back(pair[1]);
    }
    const std::string bytes = core::read_file(kFixtures + "scores.f64");
    result.scores.resize(bytes.size() / sizeof(double));
    std::memcpy(result.scores.data(), bytes.data(), bytes.size());
    return result;
  }();
  return loaded;
}

void expect_equal(const Score& got, const Score& wanted, const std::string& where) {
  EXPECT_EQ(got.precision, wanted.precision) << where;
  EXPECT_EQ(got.recall, wanted.recall) << where;
  EXPECT_EQ(got.f, wanted.f) << where;
}

TEST(Rouge, EqualsRougeScoreBitForBit) {
  const Fixture& data = fixture();
  ASSERT_GE(data.targets.size(), 2000u);
  ASSERT_EQ(data.scores.size(), data.targets.size() * 24);
  for (const bool stem : {false, true}) {
    const auto corpus = score_corpus(data.targets, data.predictions, {.stem = stem, .sentences = SentenceSplit::lines});
    for (size_t i = 0; i < data.targets.size(); ++i) {
      for (size_t k = 0; k < kRougeKinds.size(); ++k) {
        expect_equal(corpus.examples[i].*kRougeKinds[k].member, data.score(i, stem, k),
                     std::string(kRougeKinds[k].name) + (stem ? " stem, pair " : ", pair ") + std::to_string(i));
      }
    }
  }
}

TEST(Rouge, OnePairScoresAsInACorpus) {
  const Fixture& data = fixture();
  for (size_t i = 0; i < data.targets.size(); i += 37) {
    const RougeScores scores = score_pair(data.targets[i], data.predictions[i], {.sentences = SentenceSplit::lines});
    for (size_t k = 0; k < kRougeKinds.size(); ++k) {
      expect_equal(scores.*kRougeKinds[k].member, data.score(i, true, k), std::to_string(i));
    }
  }
}

TEST(Rouge, LowerCasesTheCharactersThatBecomeAscii) {
  size_t count = 0;
  const core::Json lower_case = core::read_json_file(kFixtures + "lower_case.json");
  for (const auto& [character, lower] : lower_case.items()) {
    const std::string ascii(1, lower.get<std::string>()[0]);
    EXPECT_EQ(score_pair("x" + ascii, "x" + character, {}).rouge1.f, 1) << character;
    ++count;
  }
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(score_pair("ist anbul", "\u0130st \u0130\xFF\xC4", {}).rouge1.f, 0);
  EXPECT_EQ(score_pair("i st", "\u0130st", {}).rouge1.f, 1);
}

TEST(Rouge, TakesBrokenUtf8AsSeparators) { EXPECT_EQ(score_pair("one two", "one\xE2\x84two\xC4", {}).rouge1.f, 1); }

std::string with_newlines(const std::string& text) {
  std::string lines;
  for (const auto sentence : split_sentences(text)) lines += std::string(sentence) + "\n";
  return lines;
}

TEST(Rouge, LsumSplitsByRuleOnlyWhereATextHasNoLines) {
  const std::string target = "The cat sat. Dr. Who ate it. The dog ran off.";
  const std::string prediction = "The dog ran. The cat sat there. Who ate?";
  const RougeOptions lines{.sentences = SentenceSplit::lines};
  const double wanted = score_pair(with_newlines(target), with_newlines(prediction), lines).rougeLsum.f;
  EXPECT_NE(wanted, score_pair(target, prediction, lines).rougeLsum.f);
  EXPECT_EQ(score_pair(target, prediction, {}).rougeLsum.f, wanted);
  EXPECT_EQ(score_pair(" " + target + "\n", prediction, {}).rougeLsum.f, wanted);
  EXPECT_EQ(score_pair(with_newlines(target), prediction, {}).rougeLsum.f, wanted);
  const std::string line_per_word = "The cat\nsat. Dr. Who ate it. The dog ran off.";
  EXPECT_EQ(score_pair(line_per_word, with_newlines(prediction), {}).rougeLsum.f,
            score_pair(line_per_word, with_newlines(prediction), lines).rougeLsum.f);
}

TEST(CorpusRouge, RefusesUnequalCountsAndNamesBoth) {
  const std::vector<std::string> two(2), three(3), none;
  try {
    score_corpus(two, three, {});
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("3 predictions"), testing::HasSubstr("2 references")));
  }
  EXPECT_THROW(score_corpus(none, none, {}), core::DataError);
}

TEST(CorpusRouge, DoesNotDependOnTheNumberOfThreads) {
  const Fixture& data = fixture();
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const CorpusRouge alone = score_corpus(data.targets, data.predictions, {});
  omp_set_num_threads(5);
  const CorpusRouge together = score_corpus(data.targets, data.predictions, {});
  omp_set_num_threads(threads);
  for (size_t k = 0; k < kRougeKinds.size(); ++k) {
    EXPECT_EQ(alone.scores[k].f, together.scores[k].f);
    EXPECT_EQ(alone.scores[k].f_interval.low, together.scores[k].f_interval.low);
    EXPECT_EQ(alone.scores[k].f_interval.middle, together.scores[k].f_interval.middle);
    EXPECT_EQ(alone.scores[k].f_interval.high, together.scores[k].f_interval.high);
  }
}

TEST(CorpusRouge, GivesTheMeanInPercentInsideItsInterval) {
  const Fixture& data = fixture();
  const CorpusRouge corpus = score_corpus(data.targets, data.predictions, {});
  double sum = 0;
  for (const RougeScores& example : corpus.examples) sum += example.rougeL.f;
  const CorpusScore& score = corpus.scores[2];
  EXPECT_EQ(score.name, "rougeL");
  EXPECT_NEAR(score.f, 100 * sum / static_cast<double>(corpus.pairs()), 1e-10);
  EXPECT_LT(score.f_interval.low, score.f);
  EXPECT_GT(score.f_interval.high, score.f);
  EXPECT_NEAR(score.f_interval.middle, score.f, 0.1);
}

TEST(CorpusRouge, SaysHowItWasMade) {
  const std::vector<std::string> text{"a"};
  const CorpusRouge corpus = score_corpus(text, text, {.stem = false, .sentences = SentenceSplit::lines});
  EXPECT_EQ(corpus.stemmer, "none");
  EXPECT_EQ(corpus.sentence_splitter, "lines");
  EXPECT_EQ(corpus.aggregation,
            "mean over pairs, x 100; interval: percentiles 2.5, 50 and 97.5 of 1000 bootstrap means, generator philox, "
            "seed 0");
  EXPECT_EQ(corpus.pairs(), 1u);
}

// BootstrapAggregator after np.random.seed(seed).
TEST(CorpusRouge, NumpyLegacyBootstrapEqualsRougeScores) {
  const Fixture& data = fixture();
  const core::Json cases = core::read_json_file(kFixtures + "bootstrap.json");
  for (const auto& wanted : cases) {
    const size_t pairs = wanted["pairs"];
    RougeOptions options{.sentences = SentenceSplit::lines};
    options.bootstrap = {.seed = wanted["seed"], .generator = ResampleGenerator::numpy_legacy};
    const auto corpus =
        score_corpus(std::span(data.targets).first(pairs), std::span(data.predictions).first(pairs), options);
    for (const CorpusScore& score : corpus.scores) {
      const auto& bounds = wanted["intervals"][score.name];
      const Interval* got[] = {&score.precision_interval, &score.recall_interval, &score.f_interval};
      for (size_t m = 0; m < 3; ++m) {
        EXPECT_NEAR(got[m]->low / 100, bounds[m][0], 1e-13);
        EXPECT_NEAR(got[m]->middle / 100, bounds[m][1], 1e-13);
        EXPECT_NEAR(got[m]->high / 100, bounds[m][2], 1e-13);
      }
    }
  }
}

TEST(RoundTo4Decimals, RoundsHalvesAwayFromZero) {
  EXPECT_EQ(round_to_4_decimals(41.00004), 41.0);
  EXPECT_EQ(round_to_4_decimals(41.00006), 41.0001);
}

}  // namespace
}  // namespace txtsum::metrics
