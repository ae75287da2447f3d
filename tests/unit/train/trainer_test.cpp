#include "txtsum/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "support/temporary_folder.h"
#include "training_fixture.h"
#include "txtsum/core/error.h"

namespace txtsum::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> folders_in(const std::string& root) {
  std::vector<std::string> names;
  for (const auto& item : std::filesystem::directory_iterator(root)) {
    if (item.is_directory()) names.push_back(item.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Makes `attempt` validate every update with these values of rouge1, in order.
void script_rouge(Attempt& attempt, std::vector<double> values) {
  attempt.settings.validation.loss = false;
  attempt.settings.validation.generate = true;
  attempt.settings.validation.every_updates = 1;
  attempt.settings.checkpoint.best_metric = config::BestMetric::kRouge1;
  attempt.settings.checkpoint.every_updates = 1;
  attempt.evaluator = [values](int64_t update) {
    return std::vector<std::pair<std::string, double>>{{"rouge1", values.at(static_cast<size_t>(update) - 1)}};
  };
}

TEST(Trainer, LearnsTheTinyData) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.settings.train.epochs = 60;
  attempt.settings.train.label_smoothing = 0.0;
  attempt.settings.checkpoint.every_epochs = 60;
  attempt.run();
  EXPECT_LT(attempt.recorder.updates.back().loss, 0.5 * attempt.recorder.updates.front().loss);
}

TEST(Trainer, ValidatesAndSavesWhenDueAndAtTheEnd) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.validates_loss = true;
  attempt.settings.train.epochs = 1.5;  // 3 batches, and half of 3 rounded up
  attempt.settings.validation.every_epochs = 1;
  attempt.settings.validation.on_start = true;
  attempt.settings.checkpoint.every_updates = 2;
  attempt.run();
  EXPECT_THAT(attempt.recorder.events,
              ElementsAre("validate 0", "update 1", "update 2", "save 2", "update 3", "validate 3", "update 4",
                          "save 4", "update 5", "validate 5", "save 5", "finish"));
  EXPECT_EQ(attempt.recorder.facts.total_updates, 5);
  EXPECT_EQ(attempt.recorder.facts.warmup_updates, 2);
  EXPECT_EQ(attempt.recorder.facts.examples, 10);
  EXPECT_NEAR(attempt.recorder.updates.back().epoch, 1 + 2.0 / 3, 1e-12);
  EXPECT_EQ(attempt.recorder.updates[0].learning_rate, 0.0);
  EXPECT_NEAR(attempt.recorder.updates[1].learning_rate, 2.5e-2, 1e-12);
  EXPECT_EQ(attempt.recorder.validations[0].metrics[0].first, "loss");
  EXPECT_EQ(attempt.recorder.validations[0].metrics[1].first, "nll");
}

TEST(Trainer, LogsMeansOfTheUpdatesSinceTheLastRecord) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.settings.train.max_updates = 3;
  const train::TrainOutcome outcome = attempt.run();
  const std::vector<train::UpdateRecord>& updates = attempt.recorder.updates;
  ASSERT_EQ(attempt.recorder.logs.size(), 2u);
  EXPECT_DOUBLE_EQ(attempt.recorder.logs[0].loss, (updates[0].loss + updates[1].loss) / 2);
  EXPECT_EQ(attempt.recorder.logs[0].examples, 8);
  EXPECT_EQ(attempt.recorder.logs[1].updates, 1);
  EXPECT_DOUBLE_EQ(outcome.mean_loss, (updates[0].loss + updates[1].loss + updates[2].loss) / 3);
  EXPECT_EQ(outcome.examples, 10);
}

TEST(Trainer, GivesTheSameWeightsHoweverABatchIsCut) {
  const TemporaryFolder folder;
  Attempt whole(folder.path("whole")), cut(folder.path("cut"));
  cut.settings.train.micro_batch_tokens = 8;
  whole.run();
  cut.run();
  EXPECT_TRUE(whole.batches->one_micro_batch());
  EXPECT_FALSE(cut.batches->one_micro_batch());
  EXPECT_LT((whole.weights() - cut.weights()).abs().max().item<double>(), 1e-5);  // measured below 1e-6
}

TEST(Trainer, KeepsGradientsInBf16ForOneMicroBatchAlone) {
  const TemporaryFolder folder;
  for (const auto& [dtype, tokens, wanted] :
       {std::tuple{at::kFloat, 1000, "fp32"}, {at::kBFloat16, 1000, "bf16"}, {at::kBFloat16, 8, "fp32"}}) {
    Attempt attempt(folder.path("run"), dtype);
    attempt.settings.train.micro_batch_tokens = tokens;
    attempt.settings.train.max_updates = 1;
    attempt.run();
    EXPECT_EQ(attempt.recorder.facts.gradient_type, wanted);
  }
}

TEST(Trainer, NeverDeletesTheBestAndKeepsTheLast) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  script_rouge(attempt, {10, 30, 20, 25, 26, 27});
  attempt.settings.checkpoint.keep_last = 2;
  const train::TrainOutcome outcome = attempt.run();
  EXPECT_THAT(folders_in(folder.path("run")), ElementsAre("step-2", "step-5", "step-6"));
  EXPECT_EQ(outcome.best_checkpoint, folder.path("run/step-2"));
  EXPECT_EQ(outcome.best_metric, 30.0);
  EXPECT_TRUE(attempt.recorder.validations[1].best);
  EXPECT_FALSE(attempt.recorder.validations[2].best);
}

TEST(Trainer, SavesABestValidationWhateverThePeriod) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  script_rouge(attempt, {10, 30, 20, 25, 26, 27});
  attempt.settings.checkpoint.every_updates = 100;
  attempt.run();
  EXPECT_THAT(folders_in(folder.path("run")), ElementsAre("step-1", "step-2", "step-6"));
}

TEST(Trainer, StopsEarlyWhenTheMetricNoLongerGetsBetterByTheThreshold) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  // 10.4 is the best, but not better than 10 by more than 0.5; so 2 bad ones in a row end it.
  script_rouge(attempt, {10, 10.4, 10.2, 25, 26, 27});
  attempt.settings.early_stopping.patience = 2;
  attempt.settings.early_stopping.threshold = 0.5;
  const train::TrainOutcome outcome = attempt.run();
  EXPECT_EQ(outcome.reason, train::StopReason::kEarlyStopping);
  EXPECT_EQ(outcome.updates, 3);
  EXPECT_EQ(outcome.best_checkpoint, folder.path("run/step-2"));
  EXPECT_EQ(attempt.recorder.logs.back().last.update, 3);
}

TEST(Trainer, RefusesAMetricThatIsNotMeasured) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.settings.checkpoint.best_metric = config::BestMetric::kLoss;
  try {
    attempt.run();
    FAIL() << "it began";
  } catch (const core::UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("checkpoint.best_metric is loss"));
  }
}

TEST(Trainer, RefusesToTrainNothing) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"), at::kFloat, {"table", "positions", "up.first", "up.second", "down", "bias"});
  EXPECT_THROW(attempt.run(), core::UserError);
}

TEST(Trainer, StopsBeforeAnUpdateWhoseLossIsNotFinite) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  model::Arena& arena = attempt.model.arena();
  arena.entry_values(*arena.layout().find("down")).fill_(std::numeric_limits<float>::quiet_NaN());
  const at::Tensor before = attempt.weights();
  try {
    attempt.run();
    FAIL() << "it went on";
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("update 1: loss is"));
    EXPECT_THAT(error.what(), HasSubstr("not finite first in block 1"));
    EXPECT_THAT(error.what(), HasSubstr("examples "));
  }
  EXPECT_TRUE(at::equal(before.view(at::kInt), attempt.weights().view(at::kInt))) << "a weight changed";
}

TEST(Trainer, EndsWhenTheTimeIsUpWithTheRateNearItsEnd) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  // The clock goes on by half a second a reading, and an update reads it twice: 20 updates in ten seconds.
  attempt.settings.train.epochs.reset();
  attempt.settings.train.max_minutes = 10.0 / 60.0;
  attempt.settings.checkpoint.every_updates = 1000;
  const train::TrainOutcome outcome = attempt.run();
  EXPECT_EQ(outcome.reason, train::StopReason::kTime);
  EXPECT_GE(outcome.updates, 19);
  EXPECT_LE(outcome.updates, 21);
  EXPECT_FALSE(attempt.recorder.facts.total_updates);
  EXPECT_DOUBLE_EQ(attempt.recorder.updates.back().share, 1.0);
  EXPECT_LT(attempt.recorder.updates.back().learning_rate, 0.07 * attempt.settings.optimizer.learning_rate.value());
  EXPECT_NEAR(attempt.recorder.updates[2].learning_rate, 5e-2, 1e-9);
}

TEST(Trainer, SavesBeforeADueValidationWhenAskedToStop) {
  const TemporaryFolder folder;
  Attempt first(folder.path("run"));
  script_rouge(first, {10, 30, 20, 25, 26, 27});
  first.recorder.stop_in_update = 2;
  EXPECT_THROW(first.run(), core::StoppedBySignal);
  EXPECT_THAT(first.recorder.events, ElementsAre("update 1", "validate 1", "save 1", "update 2", "save 2"));
  core::set_stop_signal(0);
  Attempt second(folder.path("run"));
  script_rouge(second, {10, 30, 20, 25, 26, 27});
  second.settings.resume_from = folder.path("run/step-2");
  const train::TrainOutcome outcome = second.run();
  EXPECT_EQ(second.recorder.events.front(), "validate 2");
  EXPECT_EQ(outcome.best_metric, 30.0);
}

TEST(Trainer, LeavesTheValidationPendingWhenItIsStopped) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  script_rouge(attempt, {10, 30, 20, 25, 26, 27});
  attempt.evaluator = [](int64_t) -> std::vector<std::pair<std::string, double>> {
    throw core::StoppedBySignal("stopped while generating", 2);
  };
  try {
    attempt.run();
    FAIL() << "it went on";
  } catch (const core::StoppedBySignal& stopped) {
    EXPECT_THAT(stopped.what(), HasSubstr("saved step 1"));
    EXPECT_EQ(stopped.exit_code(), 130);
  }
}

TEST(Trainer, TellsThePhases) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.validates_loss = true;
  attempt.settings.train.max_updates = 1;
  attempt.run();
  using train::Phase;
  EXPECT_THAT(attempt.recorder.phases,
              ElementsAre(Phase::kTrain, Phase::kValidate, Phase::kTrain, Phase::kSave, Phase::kTrain));
}

}  // namespace
}  // namespace txtsum::tests
