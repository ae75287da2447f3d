#include "txtsum/config/load.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "config_files.h"

namespace txtsum::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Load, FillsDefaultsThatDependOnOtherKeys) {
  ConfigFiles files;
  const ExperimentConfig config = files.load(kLeast);
  EXPECT_EQ(config.run.name, "x");
  EXPECT_EQ(config.run.output, "runs/x");
  EXPECT_EQ(config.train.epochs, 3);
  EXPECT_EQ(config.train.batch_size, 16);
  EXPECT_EQ(config.train.batch_tokens, std::nullopt);
  EXPECT_EQ(config.optimizer.learning_rate, 5e-5);
  EXPECT_EQ(config.optimizer.beta1, 0.9);
  EXPECT_EQ(config.schedule.warmup_updates, 0);
  EXPECT_EQ(config.validation.every_epochs, 1);
  EXPECT_EQ(config.checkpoint.every_epochs, 1);
  EXPECT_EQ(config.model.save_precision, Precision::kFp32);
}

TEST(Load, AnotherLimitLeavesEpochsUnset) {
  ConfigFiles files;
  const ExperimentConfig config = files.load(kLeast + "train: {max_minutes: 5, precision: bf16}\n");
  EXPECT_EQ(config.train.epochs, std::nullopt);
  EXPECT_EQ(config.train.max_minutes, 5);
  EXPECT_EQ(config.model.save_precision, Precision::kBf16);
}

TEST(Load, ReadsEveryKindOfValue) {
  ConfigFiles files;
  const ExperimentConfig config = files.load(R"(
model:
  checkpoint: facebook/bart-base
  dropout: 0.25
  freeze: [embeddings, "encoder.layers.0-5"]
data:
  train: [a.jsonl, b.csv]
  source_prefix: "summarize: "
  cache: ""
optimizer: {learning_rate: 3e-5}
checkpoint: {keep_last: null, best_metric: none}
validation: {on_start: true}
generation:
  early_stopping: never
  forced_bos_token_id: -1
  suppress_tokens: [3, 4]
  bad_words_ids: [[5, 9], [12]]
report: {mlflow: false}
)");
  EXPECT_EQ(config.model.dropout, 0.25);
  EXPECT_THAT(config.model.freeze, ElementsAre("embeddings", "encoder.layers.0-5"));
  EXPECT_THAT(config.data.train, ElementsAre("a.jsonl", "b.csv"));
  EXPECT_EQ(config.data.source_prefix, "summarize: ");
  EXPECT_EQ(config.data.cache, "");
  EXPECT_EQ(config.optimizer.learning_rate, 3e-5);
  EXPECT_EQ(config.checkpoint.keep_last, std::nullopt);
  EXPECT_TRUE(config.validation.on_start);
  EXPECT_EQ(config.generation.early_stopping, BeamStop::kNever);
  EXPECT_EQ(config.generation.forced_bos_token_id, -1);
  EXPECT_EQ(config.generation.suppress_tokens, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(config.generation.bad_words_ids, (std::vector<std::vector<int64_t>>{{5, 9}, {12}}));
  EXPECT_EQ(config.report.mlflow, false);
}

TEST(Load, ArgumentsWinOverTheFile) {
  ConfigFiles files;
  const ExperimentConfig config =
      files.load(kLeast + "train: {batch_size: 8, epochs: 2}\n",
                 {"train.batch_size=32", "train.epochs=null", "train.max_updates=7", "data.train=[c.csv, d.csv]",
                  "data.source_prefix=tl;dr: a, b ", "model.checkpoint=/a b/=c", "generation.bad_words_ids=[[1, 2]]"});
  EXPECT_EQ(config.train.batch_size, 32);
  EXPECT_EQ(config.train.epochs, std::nullopt);
  EXPECT_THAT(config.data.train, ElementsAre("c.csv", "d.csv"));
  EXPECT_EQ(config.data.source_prefix, "tl;dr: a, b ");
  EXPECT_EQ(config.model.checkpoint, "/a b/=c");
  EXPECT_EQ(config.generation.bad_words_ids->at(0), (std::vector<int64_t>{1, 2}));
}

TEST(Load, ANullEmptiesALaterSplit) {
  ConfigFiles files;
  const ExperimentConfig config = files.load(kLeast + "  test: t.jsonl\n", {"data.test=null"});
  EXPECT_TRUE(config.data.test.empty());
}

TEST(Load, OfExclusiveKeysTheHigherLevelCounts) {
  ConfigFiles files;
  const ExperimentConfig config = files.load(kLeast + "train: {batch_size: 8}\nschedule: {warmup_updates: 5}\n",
                                             {"train.batch_tokens=4096", "schedule.warmup_share=0.1"});
  EXPECT_EQ(config.train.batch_size, std::nullopt);
  EXPECT_EQ(config.train.batch_tokens, 4096);
  EXPECT_EQ(config.schedule.warmup_updates, std::nullopt);
  EXPECT_EQ(config.schedule.warmup_share, 0.1);
}

TEST(Load, TakesAnchorsAliasesAndMerges) {
  ConfigFiles files;
  const ExperimentConfig config = files.load(kLeast + R"(
validation: &period
  every_updates: 50
checkpoint:
  <<: *period
  keep_last: 3
)");
  EXPECT_EQ(config.checkpoint.every_updates, 50);
  EXPECT_EQ(config.checkpoint.keep_last, 3);
}

TEST(Load, AKeyOfItsOwnReplacesAMergedOne) {
  ConfigFiles files;
  const std::string text = kLeast + "validation: &p\n  every_updates: 50\ncheckpoint:\n  every_updates: 9\n  <<: *p\n";
  EXPECT_EQ(files.load(text).checkpoint.every_updates, 9);
}

TEST(Load, AnEmptySectionIsFine) {
  ConfigFiles files;
  EXPECT_EQ(files.complaints(kLeast + "train:\noptimizer: {}\n"), "");
}

TEST(LoadArguments, NeedsNoFile) {
  const ExperimentConfig config = load_arguments({"generation.beams=4"});
  EXPECT_EQ(config.generation.beams, 4);
  EXPECT_THROW(load_arguments({"generation.beams=2", "generation.hypotheses=3"}), core::UserError);
}

TEST(CacheFolder, ExpandsHome) {
  DataConfig data;
  const std::string home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "";
  ::setenv("HOME", "/home/somebody", 1);
  EXPECT_EQ(data.cache_folder(), "/home/somebody/.cache/txtsum");
  data.cache = "relative";
  EXPECT_EQ(data.cache_folder(), "relative");
  data.cache = "~";
  EXPECT_EQ(data.cache_folder(), "/home/somebody");
  ::unsetenv("HOME");
  EXPECT_THROW(data.cache_folder(), core::UserError);
  if (!home.empty()) ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace txtsum::config
