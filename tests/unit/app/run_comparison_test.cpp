#include "app/run_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_runs.h"
#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::tests {
namespace {

using app::compare_runs;
using app::FinishedRun;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<double> kBefore{10, 20, 30, 40, 50, 60}, kAfter{14, 26, 31, 47, 55, 64};

std::string refusal(const FinishedRun& first, const FinishedRun& second) {
  try {
    compare_runs(first, second, {});
  } catch (const core::UserError& error) {
    return error.what();
  }
  return "";
}

TEST(RunComparison, DifferencesAreTheSecondLessTheFirst) {
  const auto compared = compare_runs(sample_run("a", kBefore, 3600), sample_run("b", kAfter, 1800), {});
  ASSERT_EQ(compared.rouge.size(), 4u);
  EXPECT_NEAR(compared.rouge[0].difference, 4.5, 1e-12);
  EXPECT_GT(compared.rouge[0].interval.low, 2);
  EXPECT_EQ(compared.rouge[0].share_second_better, 1);
  const core::Json json = app::comparison_json(sample_run("a", kBefore, 3600), sample_run("b", kAfter, 1800), compared);
  const auto figure = [&](const char* key, const char* side) {
    return json.at("whole_run").at(key).at(side).at("value").get<double>();
  };
  EXPECT_NEAR(figure("energy_wh", "a"), 1200, 1e-9);
  EXPECT_NEAR(figure("energy_wh", "difference"), -600, 1e-9);
  EXPECT_NEAR(figure("cost_usd", "difference"), -1.8, 1e-9);
  EXPECT_NEAR(figure("seconds", "difference"), -1800, 1e-9);
  EXPECT_LT(figure("carbon_grams_high", "difference"), 0);
  EXPECT_EQ(json.at("whole_run").at("peak_device_memory_bytes").at("difference").at("tag"), "missing");
  EXPECT_EQ(json.at("bootstrap").at("seed"), 0);
}

TEST(RunComparison, DocumentsAreMatchedById) {
  const FinishedRun first = sample_run("a", kBefore);
  FinishedRun second = sample_run("b", kAfter);
  const auto straight = compare_runs(first, second, {});
  std::reverse(second.predictions.begin(), second.predictions.end());
  const auto crossed = compare_runs(first, second, {});
  EXPECT_EQ(straight.rouge[0].interval.low, crossed.rouge[0].interval.low);
  EXPECT_EQ(straight.rouge[0].p_value, crossed.rouge[0].p_value);
}

TEST(RunComparison, IdsThatOccurTwiceAreMatchedByPlace) {
  FinishedRun first = sample_run("a", kBefore), second = sample_run("b", kAfter);
  first.predictions[1].id = second.predictions[1].id = "0";
  EXPECT_NEAR(compare_runs(first, second, {}).rouge[0].difference, 4.5, 1e-12);
  std::swap(second.predictions[2], second.predictions[3]);
  EXPECT_THAT(refusal(first, second), HasSubstr("document 2 is '2' in one, '3' in the other"));
}

TEST(RunComparison, UnlikeTestSetsAreRefused) {
  const FinishedRun run = sample_run("a", kBefore);
  EXPECT_THAT(refusal(run, sample_run("b", {1, 2})), HasSubstr("6 documents here, 2 there"));
  FinishedRun other = sample_run("b", kAfter);
  other.predictions[2].reference = "another";
  EXPECT_THAT(refusal(run, other), HasSubstr("document '2' has another reference"));
  other = sample_run("b", kAfter);
  other.predictions[4].id = "x";
  EXPECT_THAT(refusal(run, other), HasSubstr("document '4' is in the first alone"));
  other = sample_run("b", kAfter);
  other.report["quality"]["test"]["stemmer"] = "Porter";
  EXPECT_THAT(refusal(run, other), HasSubstr("stemmer is 'none' in one and 'Porter' in the other"));
  other.split.clear();
  EXPECT_THAT(refusal(run, other), HasSubstr("runs/b has no scored summaries"));
}

TEST(RunComparison, SaysThatATrainingAndAnEvaluationCostDifferentThings) {
  FinishedRun evaluation = sample_run("b", kAfter);
  const core::Json quality = evaluation.report["quality"];
  evaluation.report = sample_report("b", 60, false);
  evaluation.report["quality"] = quality;
  const FinishedRun training = sample_run("a", kBefore);
  const auto compared = compare_runs(training, evaluation, {});
  EXPECT_THAT(app::comparison_text(training, evaluation, compared), HasSubstr("an evaluation alone"));
  ASSERT_FALSE(compared.notes.empty());
  EXPECT_THAT(compared.notes[0], HasSubstr("A's are of a training"));
}

class RunFolderReading : public ::testing::Test {
 protected:
  void write(const FinishedRun& run) {
    std::string lines;
    for (const app::Prediction& prediction : run.predictions) {
      core::Json line{{"id", prediction.id}, {"summary", prediction.summary}, {"reference", prediction.reference}};
      line["token_ids"] = {2, 0, 7, 2};
      for (size_t k = 0; k < metrics::kRougeKinds.size(); ++k) line[metrics::kRougeKinds[k].name] = prediction.rouge[k];
      lines += core::to_line(line) + "\n";
    }
    core::write_file(folder_.path("predictions.jsonl"), lines);
    core::write_file(folder_.path("report.json"), core::to_pretty_text(run.report));
  }
  std::string complaint() {
    try {
      app::read_finished_run(folder_.path());
    } catch (const core::Error& error) {
      return error.what();
    }
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(RunFolderReading, GivesWhatWasWritten) {
  write(sample_run("a", kBefore));
  core::write_file(folder_.path("steps.jsonl"), "{\"event\":\"update\",\"update\":1}\n{\"event\":\"upd");
  const FinishedRun run = app::read_finished_run(folder_.path() + "/");
  EXPECT_EQ(run.folder, folder_.path());
  EXPECT_EQ(run.split, "test");
  ASSERT_EQ(run.predictions.size(), 6u);
  EXPECT_EQ(run.predictions[2].rouge[3], 30);
  EXPECT_EQ(run.predictions[2].summary_tokens, 3);
  EXPECT_FALSE(run.predictions[2].source_start);
  EXPECT_EQ(run.steps.size(), 1u);  // the line that was not finished is none
}

TEST_F(RunFolderReading, WhatDoesNotBelongTogetherIsRefused) {
  EXPECT_THAT(complaint(), HasSubstr("found no report.json in it"));
  FinishedRun run = sample_run("a", kBefore);
  run.report["quality"]["test"]["rouge2"] = 99;
  write(run);
  EXPECT_THAT(complaint(), HasSubstr("they are of different runs"));
  run = sample_run("a", kBefore);
  run.report.erase("total");
  write(run);
  EXPECT_THAT(complaint(), HasSubstr("report_schema.json"));
  run = sample_run("a", kBefore);
  run.report["total"]["cost_usd"]["tag"] = "guessed";
  write(run);
  EXPECT_THAT(complaint(), AllOf(HasSubstr("report.json"), HasSubstr("guessed")));
  run = sample_run("a", kBefore);
  run.report["schema_version"] = 7;
  write(run);
  EXPECT_THAT(complaint(), HasSubstr("found 7"));
  write(sample_run("a", kBefore));
  core::write_file(folder_.path("predictions.jsonl"), "{\"id\": 3}\n");
  EXPECT_THAT(complaint(), HasSubstr("predictions.jsonl:1"));
}

}  // namespace
}  // namespace txtsum::tests
