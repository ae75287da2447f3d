// What the structs check across their fields.

#include <gmock/gmock.h>

#include "config_files.h"

namespace txtsum::config {
namespace {

using testing::HasSubstr;

struct Case {
  std::vector<std::string> arguments;
  std::string complaint;  ///< Empty: none.
};

class Sections : public testing::TestWithParam<Case> {};

TEST_P(Sections, Check) {
  ConfigFiles files;
  const std::string found = files.complaints(kLeast, GetParam().arguments);
  if (GetParam().complaint.empty()) {
    EXPECT_EQ(found, "");
  } else {
    EXPECT_THAT(found, HasSubstr(GetParam().complaint));
  }
}

INSTANTIATE_TEST_SUITE_P(Run, Sections,
                         testing::Values(Case{{"run.overwrite=true", "run.resume=runs/x"}, "run.resume names a path"},
                                         Case{{"run.overwrite=true"}, ""}));

INSTANTIATE_TEST_SUITE_P(
    Data, Sections,
    testing::Values(Case{{"data.train=a.txt"}, "'a.txt' is no folder and ends in none of .jsonl"},
                    Case{{"data.validation=[a.csv, b.c]"}, "'b.c' is no folder and ends"},
                    Case{{"data.train=[a.parquet, b.arrow, folder/of, .]"}, ""},
                    Case{{"data.test_share=0.1", "data.test=t.csv"},
                         "takes a share of the training data, and data.test names files"},
                    Case{{"data.validation_share=0.1", "data.validation=t.csv"},
                         "data.validation names files: keep one of the two"},
                    Case{{"data.validation_share=0.5", "data.test_share=0.5"}, "nothing is left to train on"},
                    Case{{"data.validation_share=1"}, "must be"}, Case{{"data.validation_share=-0.1"}, "must be"},
                    Case{{"data.validation_share=0.5", "data.test_share=0.4"}, ""},
                    Case{{"data.validation_share=0.1", "checkpoint.best_metric=loss"}, ""},
                    Case{{"data.source_column=a"}, "set together or not at all"},
                    Case{{"data.source_column=a", "data.summary_column=a"}, "is the same column"},
                    Case{{"data.source_column=a", "data.summary_column=b"}, ""}));

INSTANTIATE_TEST_SUITE_P(
    Optimizer, Sections,
    testing::Values(
        Case{{"optimizer.relative_step=true"}, "only with optimizer.name=adafactor"},
        Case{{"optimizer.clip_threshold=2"}, "only with optimizer.name=adafactor"},
        Case{{"optimizer.name=adafactor", "optimizer.beta2=0.9"}, "Adafactor has decay_rate"},
        Case{{"optimizer.name=adafactor", "optimizer.warmup_init=true"}, "needs optimizer.relative_step=true"},
        Case{{"optimizer.name=adafactor", "optimizer.relative_step=true", "optimizer.learning_rate=1"},
             "cannot be set together"},
        Case{{"optimizer.name=adafactor", "optimizer.relative_step=true"}, "schedule.name: must be constant"},
        Case{{"optimizer.name=adafactor", "optimizer.relative_step=true", "schedule.name=constant"}, ""},
        Case{{"parallel.offload=optimizer"}, ""},
        Case{{"parallel.offload=optimizer_and_parameters", "parallel.zero_stage=3"}, ""},
        Case{{"parallel.offload=optimizer_and_parameters", "parallel.zero_stage=2"}, "write parallel.zero_stage=3"},
        Case{{"parallel.offload=optimizer", "optimizer.name=adafactor"}, "take parallel.offload=none"},
        Case{{"schedule.name=constant", "schedule.minimum_share=0.1"}, "only with schedule.name=linear"},
        Case{{"train.bucket_batches=3"}, "only with train.sampler=length_bucketed"}));

INSTANTIATE_TEST_SUITE_P(
    BestMetric, Sections,
    testing::Values(Case{{"checkpoint.best_metric=loss"}, "loss needs data.validation"},
                    Case{{"checkpoint.best_metric=loss", "data.validation=v.csv", "validation.loss=false"},
                         "loss needs validation.loss=true"},
                    Case{{"checkpoint.best_metric=rougeL", "data.validation=v.csv", "validation.generate=false"},
                         "rougeL needs validation.generate=true"},
                    Case{{"checkpoint.best_metric=rougeL", "data.validation=v.csv"}, ""},
                    Case{{"early_stopping.patience=2"}, "needs checkpoint.best_metric"},
                    Case{{"early_stopping.threshold=0.1"}, "only with early_stopping.patience"},
                    Case{{"validation.generate=false", "validation.beams=2"}, "only with validation.generate=true"}));

INSTANTIATE_TEST_SUITE_P(
    Generation, Sections,
    testing::Values(Case{{"generation.min_new_tokens=9", "generation.max_new_tokens=8"}, "is larger than"},
                    Case{{"generation.hypotheses=3", "generation.beams=2"}, "is larger than generation.beams"},
                    Case{{"generation.bad_words_ids=[[1], []]"}, "has an empty sequence"},
                    Case{{"generation.hypotheses=3"}, ""}));

TEST(Adafactor, KeepsNoFirstMomentUnlessAsked) {
  ConfigFiles files;
  EXPECT_EQ(files.load(kLeast, {"optimizer.name=adafactor"}).optimizer.beta1, std::nullopt);
  EXPECT_EQ(files.load(kLeast, {"optimizer.name=adafactor", "optimizer.beta1=0.5"}).optimizer.beta1, 0.5);
  const OptimizerConfig relative =
      files.load(kLeast, {"optimizer.name=adafactor", "optimizer.relative_step=true", "schedule.name=constant"})
          .optimizer;
  EXPECT_EQ(relative.learning_rate, std::nullopt);
}

}  // namespace
}  // namespace txtsum::config
