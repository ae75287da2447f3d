#include "txtsum/config/dump.h"

#include <gmock/gmock.h>

#include "config_files.h"
#include "txtsum/config/reference.h"

namespace txtsum::config {
namespace {

using testing::HasSubstr;

/// A config in which every key has another value than its default.
std::vector<std::string> unusual_arguments() {
  return {"run.name=a b",
          "run.output=/tmp/#x: y",
          "run.seed=0",
          "run.resume=null ",
          "model.dropout=0.1",
          "model.freeze=[\"a, b\", \"*.bias\", \"-x\"]",
          "data.source_prefix=\"tab\\there \\\"quoted\\\" back\\\\slash\\nnew\\x01 caf\xc3\xa9: \"",
          "data.id_column=null ",
          "data.cache=",
          "data.source_column=\"true\"",
          "data.summary_column=1e3",
          "train.batch_tokens=123456789",
          "train.max_minutes=0.1",
          "optimizer.learning_rate=3.0000000000000004e-05",
          "checkpoint.keep_last=null",
          "generation.bad_words_ids=[[1, 2], [3]]",
          "generation.suppress_tokens=[]",
          "generation.early_stopping=false",
          "report.mlflow=true"};
}

TEST(Dump, ReloadsToTheSame) {
  ConfigFiles files;
  for (const auto& arguments : {std::vector<std::string>{}, unusual_arguments()}) {
    const ExperimentConfig config = files.load(kLeast, arguments);
    const std::string text = to_yaml(config);
    const ExperimentConfig again = load_experiment(files.write("run/config.yaml", text));
    EXPECT_TRUE(diff(config, again, DiffScope::kAll).empty()) << text;
    EXPECT_EQ(to_yaml(again), text);
    EXPECT_EQ(again.run.name, config.run.name);
    EXPECT_EQ(again.data.source_prefix, config.data.source_prefix);
    EXPECT_EQ(again.data.source_column, config.data.source_column);
    EXPECT_EQ(again.model.freeze, config.model.freeze);
    EXPECT_EQ(again.optimizer.learning_rate, config.optimizer.learning_rate);
    EXPECT_EQ(again.generation.bad_words_ids, config.generation.bad_words_ids);
    EXPECT_EQ(again.generation.suppress_tokens, config.generation.suppress_tokens);
  }
}

TEST(Diff, ListsWhatDiffersWithBothValues) {
  ConfigFiles files;
  const ExperimentConfig left = files.load(kLeast);
  const ExperimentConfig right =
      files.load(kLeast, {"train.batch_size=8", "run.output=elsewhere", "model.dropout=0.5"});
  const std::vector<Difference> all = diff(left, right, DiffScope::kAll);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].key, "run.output");
  EXPECT_EQ(all[1].key, "model.dropout");
  EXPECT_EQ(all[1].left, "null");
  EXPECT_EQ(all[1].right, "0.5");
  EXPECT_EQ(all[2].key, "train.batch_size");
  EXPECT_EQ(all[2].left, "16");
  EXPECT_EQ(all[2].right, "8");
}

TEST(Diff, OfTrainingLeavesOutFoldersAndLoggers) {
  ConfigFiles files;
  const ExperimentConfig left = files.load(kLeast);
  const ExperimentConfig right =
      files.load(kLeast, {"run.output=elsewhere", "run.resume=never", "report.tensorboard=false", "data.cache=/c",
                          "resources.region=westus2", "checkpoint.every_updates=3", "data.test=t.csv"});
  EXPECT_TRUE(diff(left, right, DiffScope::kTraining).empty());
  const ExperimentConfig other_seed = files.load(kLeast, {"run.seed=1"});
  EXPECT_EQ(diff(left, other_seed, DiffScope::kTraining).size(), 1u);
}

TEST(ListValues, CoversEveryKeyOnce) {
  ConfigFiles files;
  const std::vector<KeyValue> values = list_values(files.load(kLeast));
  std::set<std::string> keys;
  for (const KeyValue& each : values) EXPECT_TRUE(keys.insert(each.key).second) << each.key;
  EXPECT_GT(keys.size(), 90u);
}

std::string docs_file(const std::string& name) { return core::read_file(TXTSUM_SOURCE_DIR "/docs/" + name); }

TEST(Reference, TheFileInDocsIsWhatTheCodeGives) {
  EXPECT_EQ(docs_file("config_reference.md"), config_reference_markdown())
      << "write it anew: txtsum config docs --output docs";
}

TEST(Reference, EveryKeyIsInIt) {
  const std::string text = config_reference_markdown();
  for (const KeyValue& each : list_values(ExperimentConfig{})) EXPECT_THAT(text, HasSubstr("| `" + each.key + "`"));
}

TEST(FromTransformers, TheFileInDocsIsWhatTheCodeGives) {
  EXPECT_EQ(docs_file("from_transformers.md"), from_transformers_markdown())
      << "write it anew: txtsum config docs --output docs";
}

}  // namespace
}  // namespace txtsum::config
