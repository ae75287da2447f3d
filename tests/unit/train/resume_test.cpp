#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.h"
#include "training_fixture.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/train/checkpoint.h"

namespace txtsum::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A way to train: each must resume to the same bits.
struct Variant {
  const char* name;
  at::ScalarType dtype = at::kFloat;
  bool recompute = false;
  bool accumulate = false;
  bool adafactor = false;
  bool by_tokens = false;
  bool frozen = false;

  void apply(Attempt& attempt) const {
    if (recompute) attempt.settings.train.recompute = config::Recompute::kBlocks;
    if (accumulate) attempt.settings.train.micro_batch_tokens = 12;
    if (adafactor) {
      attempt.settings.optimizer.name = config::OptimizerName::kAdafactor;
      attempt.settings.optimizer.beta1 = 0.9;
    }
    if (by_tokens) {
      attempt.settings.train.batch_size.reset();
      attempt.settings.train.batch_tokens = 20;
      attempt.settings.train.sampler = config::Sampler::kLengthBucketed;
    }
  }
  std::vector<std::string> frozen_names() const {
    return frozen ? std::vector<std::string>{"up.first", "positions"} : std::vector<std::string>{};
  }
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

class Resume : public ::testing::TestWithParam<Variant> {};

INSTANTIATE_TEST_SUITE_P(Variants, Resume,
                         ::testing::Values(Variant{"fp32"}, Variant{"bf16", at::kBFloat16},
                                           Variant{"fp32_recompute", at::kFloat, true},
                                           Variant{"bf16_recompute", at::kBFloat16, true},
                                           Variant{"fp32_accumulate", at::kFloat, false, true},
                                           Variant{"bf16_accumulate_recompute", at::kBFloat16, true, true},
                                           Variant{"adafactor", at::kFloat, false, true, true},
                                           Variant{"adafactor_bf16", at::kBFloat16, false, false, true},
                                           Variant{"token_batches", at::kFloat, false, false, false, true},
                                           Variant{"frozen_bf16", at::kBFloat16, false, false, false, false, true}),
                         [](const auto& variant) { return std::string(variant.param.name); });

TEST_P(Resume, AtEveryUpdateGivesTheBitsOfAStraightRun) {
  const TemporaryFolder folder;
  Attempt straight(folder.path("straight"), GetParam().dtype, GetParam().frozen_names());
  GetParam().apply(straight);
  straight.validates_loss = true;
  const train::TrainOutcome whole = straight.run();
  ASSERT_GE(whole.updates, 6);

  for (int64_t stop = 1; stop <= whole.updates; ++stop) {
    const std::string root = folder.path("stop-" + std::to_string(stop));
    Attempt first(root, GetParam().dtype, GetParam().frozen_names());
    GetParam().apply(first);
    first.validates_loss = true;
    first.recorder.stop_in_update = stop;
    EXPECT_THROW(first.run(), core::StoppedBySignal);
    core::set_stop_signal(0);

    Attempt second(root, GetParam().dtype, GetParam().frozen_names());
    GetParam().apply(second);
    second.validates_loss = true;
    second.settings.resume_from = train::find_checkpoint(root);
    ASSERT_EQ(second.settings.resume_from, root + "/step-" + std::to_string(stop));
    const train::TrainOutcome outcome = second.run();
    EXPECT_EQ(outcome.updates, whole.updates);
    EXPECT_EQ(outcome.mean_loss, whole.mean_loss);
    EXPECT_EQ(outcome.target_tokens, whole.target_tokens);
    EXPECT_TRUE(at::equal(second.weights(), straight.weights())) << "stopped after update " << stop;
    EXPECT_EQ(core::read_file(outcome.last_checkpoint + "/optimizer.safetensors"),
              core::read_file(whole.last_checkpoint + "/optimizer.safetensors"));
    EXPECT_EQ(core::read_file(outcome.last_checkpoint + "/model.safetensors"),
              core::read_file(whole.last_checkpoint + "/model.safetensors"));
    // No log record, and no validation, is lost or made twice.
    EXPECT_EQ(first.recorder.logs.size() + second.recorder.logs.size(), straight.recorder.logs.size());
    EXPECT_EQ(second.recorder.logs.empty() ? 0.0 : second.recorder.logs.back().loss,
              second.recorder.logs.empty() ? 0.0 : straight.recorder.logs.back().loss);
    EXPECT_EQ(first.recorder.validations.size() + second.recorder.validations.size(),
              straight.recorder.validations.size());
    EXPECT_EQ(second.recorder.validations.empty() ? 0.0 : *second.recorder.validations.back().metric("loss"),
              second.recorder.validations.empty() ? 0.0 : *straight.recorder.validations.back().metric("loss"));
  }
}

TEST_P(Resume, FromAStopWithinAnUpdateGivesTheBitsOfAStraightRun) {
  const TemporaryFolder folder;
  Attempt straight(folder.path("straight"), GetParam().dtype, GetParam().frozen_names());
  GetParam().apply(straight);
  const train::TrainOutcome whole = straight.run();
  const int64_t calls = straight.model.body_calls;

  const int64_t stop = calls / 2;
  Attempt first(folder.path("run"), GetParam().dtype, GetParam().frozen_names());
  GetParam().apply(first);
  first.model.in_body = [&](int64_t call) {
    if (call == stop) core::set_stop_signal(15);
  };
  EXPECT_THROW(first.run(), core::StoppedBySignal);
  core::set_stop_signal(0);
  EXPECT_EQ(first.model.body_calls, stop) << "it was heard late";

  Attempt second(folder.path("run"), GetParam().dtype, GetParam().frozen_names());
  GetParam().apply(second);
  second.settings.resume_from = train::find_checkpoint(folder.path("run"));
  const train::TrainOutcome outcome = second.run();
  EXPECT_EQ(first.recorder.updates.size() + second.recorder.updates.size(), straight.recorder.updates.size());
  EXPECT_EQ(outcome.mean_loss, whole.mean_loss);
  EXPECT_TRUE(at::equal(second.weights(), straight.weights()));
}

TEST(Checkpoint, SaysWhatItSavedWhenStopped) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.recorder.stop_in_update = 2;
  try {
    attempt.run();
    FAIL() << "the training went on";
  } catch (const core::StoppedBySignal& stopped) {
    EXPECT_STREQ(stopped.what(), "saved step 2; resume with txtsum train x.yaml");
    EXPECT_EQ(stopped.exit_code(), 128 + 15);
  }
}

TEST(Checkpoint, ThatIsTornIsPassedOver) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.settings.checkpoint.every_updates = 2;
  attempt.run();
  EXPECT_EQ(train::find_checkpoint(folder.path("run")), folder.path("run/step-6"));
  std::filesystem::remove(folder.path("run/step-6/DONE"));
  EXPECT_EQ(train::find_checkpoint(folder.path("run")), folder.path("run/step-4"));
  std::fstream file(folder.path("run/step-4/optimizer.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x55');
  file.close();
  EXPECT_EQ(train::find_checkpoint(folder.path("run")), folder.path("run/step-2"));
  EXPECT_EQ(train::find_checkpoint(folder.path("nowhere")), "");
}

TEST(Checkpoint, WithoutOptimizerStateIsNotResumedFrom) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.settings.checkpoint.optimizer_state = false;
  const train::TrainOutcome outcome = attempt.run();
  EXPECT_FALSE(std::filesystem::exists(outcome.last_checkpoint + "/optimizer.safetensors"));
  EXPECT_EQ(train::find_checkpoint(folder.path("run")), "");
}

TEST(Checkpoint, OfAnotherOptimizerIsRefused) {
  const TemporaryFolder folder;
  Attempt first(folder.path("run"));
  first.run();
  Attempt second(folder.path("run"));
  second.settings.optimizer.name = config::OptimizerName::kAdafactor;
  second.settings.resume_from = train::find_checkpoint(folder.path("run"));
  try {
    second.run();
    FAIL() << "it was taken";
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("another optimizer"));
  }
}

TEST(Checkpoint, KeepsTheFingerprintAndThePosition) {
  const TemporaryFolder folder;
  Attempt attempt(folder.path("run"));
  attempt.settings.config_fingerprint = "abc";
  attempt.settings.train.max_updates = 4;
  const train::TrainingState state = train::read_training_state(attempt.run().last_checkpoint);
  EXPECT_EQ(state.config_fingerprint, "abc");
  EXPECT_EQ(state.update, 4);
  EXPECT_EQ(state.epoch, 1);
  EXPECT_EQ(state.batch, 1);
}

TEST(Checkpoint, OfAnEarlierStepIsKeptThoughNewerNumbersAreThere) {
  const TemporaryFolder folder;
  Attempt first(folder.path("run"));
  first.settings.checkpoint.every_updates = 1;
  first.run();
  Attempt second(folder.path("run"));
  second.settings.checkpoint.every_updates = 1;
  second.settings.checkpoint.keep_last = 1;
  second.settings.train.max_updates = 3;
  second.settings.resume_from = folder.path("run/step-2");
  const std::string last = second.run().last_checkpoint;
  EXPECT_EQ(last, folder.path("run/step-3"));
  EXPECT_TRUE(std::filesystem::exists(last + "/DONE"));
}

TEST(Checkpoint, OfAFinishedTrainingGoesNoFurther) {
  const TemporaryFolder folder;
  Attempt first(folder.path("run"));
  first.run();
  Attempt second(folder.path("run"));
  second.settings.resume_from = train::find_checkpoint(folder.path("run"));
  const train::TrainOutcome outcome = second.run();
  EXPECT_EQ(outcome.updates, 6);
  EXPECT_THAT(second.recorder.events, ElementsAre("finish"));
  EXPECT_TRUE(at::equal(second.weights(), first.weights()));
}

}  // namespace
}  // namespace txtsum::tests
