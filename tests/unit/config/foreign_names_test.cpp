#include "txtsum/config/foreign_names.h"

#include <gmock/gmock.h>

#include <set>

#include "config/foreign_table.h"
#include "config_files.h"
#include "txtsum/config/dump.h"

namespace txtsum::config {
namespace {

using testing::HasSubstr;

TEST(ForeignAnswer, GivesOurLine) {
  EXPECT_THAT(*foreign_answer("--per_device_train_batch_size", "16"), HasSubstr("write train.batch_size=16 ("));
  EXPECT_THAT(*foreign_answer("per-device-train-batch-size", "16"), HasSubstr("train.batch_size=16"));
  EXPECT_THAT(*foreign_answer("bf16", ""), HasSubstr("write train.precision=bf16"));
  EXPECT_THAT(*foreign_answer("fp16", "True"), HasSubstr("train.precision=fp16 (the loss scale is dynamic"));
  EXPECT_THAT(*foreign_answer("max_length", "62"), HasSubstr("generation.max_new_tokens=61"));
  EXPECT_THAT(*foreign_answer("warmup_steps", "500"), HasSubstr("schedule.warmup_updates=500"));
  EXPECT_THAT(*foreign_answer("warmup_steps", "0.1"), HasSubstr("schedule.warmup_share=0.1"));
  EXPECT_THAT(*foreign_answer("eval_strategy", "epoch"), HasSubstr("validation.every_epochs=1"));
  EXPECT_THAT(*foreign_answer("optim", "lion_8bit"), HasSubstr("there are optimizer.name=adamw and adafactor"));
  EXPECT_THAT(*foreign_answer("freeze_encoder", ""), HasSubstr("model.freeze=encoder"));
  EXPECT_EQ(foreign_answer("no_such_name", "1"), std::nullopt);
}

TEST(ForeignAnswer, KeysFlagsAndOverridesAreAnswered) {
  ConfigFiles files;
  EXPECT_EQ(files.complaints(kLeast + "num_train_epochs: 3\n"),
            "x.yaml:5:1 num_train_epochs: not a key of txtsum; write train.epochs=3");
  EXPECT_THAT(
      files.complaints(kLeast + "train:\n  per_device_train_batch_size: 16\n"),
      HasSubstr("x.yaml:6:3 train.per_device_train_batch_size: not a key of txtsum; write train.batch_size=16"));
  EXPECT_EQ(files.complaints(kLeast, {"label_smoothing_factor=0.1"}),
            "argument 1: label_smoothing_factor=0.1: not a key of txtsum; write train.label_smoothing=0.1");
  const std::string flags = files.complaints(kLeast, {"--per_device_train_batch_size", "16", "--bf16",
                                                      "--learning_rate=3e-5", "--train.epochs", "2", "--what"});
  EXPECT_THAT(
      flags, HasSubstr("argument 1: --per_device_train_batch_size 16: not a key of txtsum; write train.batch_size=16"));
  EXPECT_THAT(flags, HasSubstr("argument 3: --bf16: not a key of txtsum; write train.precision=bf16"));
  EXPECT_THAT(flags,
              HasSubstr("argument 4: --learning_rate=3e-5: not a key of txtsum; write optimizer.learning_rate=3e-5"));
  EXPECT_THAT(flags, HasSubstr("argument 5: --train.epochs 2: settings have no dashes; write train.epochs=2"));
  EXPECT_THAT(flags, HasSubstr("argument 7: --what: unknown option"));
}

TEST(ForeignAnswer, ASettingNamedAsOneOfOurSectionsIsAnswered) {
  ConfigFiles files;
  EXPECT_THAT(files.complaints(kLeast, {"early_stopping=true"}), HasSubstr("write generation.early_stopping=true"));
}

TEST(ForeignAnswer, DeepSpeedBlocksAreAnswered) {
  ConfigFiles files;
  const std::string found = files.complaints(kLeast + R"(
bf16: {enabled: true}
gradient_clipping: 1.0
zero_optimization: {stage: 2, offload_optimizer: {device: cpu}}
optimizer: {type: AdamW, params: {lr: 1e-4, betas: [0.9, 0.999]}}
)");
  EXPECT_THAT(found, HasSubstr("bf16.enabled: not a key of txtsum; write train.precision=bf16"));
  EXPECT_THAT(found, HasSubstr("write train.clip_norm=1.0"));
  EXPECT_THAT(found, HasSubstr("zero_optimization.stage: not a key of txtsum; write parallel.zero_stage=2"));
  EXPECT_THAT(found, HasSubstr("zero_optimization.offload_optimizer.device: not a key of txtsum; write "
                               "parallel.offload=optimizer"));
  EXPECT_THAT(
      files.complaints(kLeast + "zero_optimization: {offload_param: {device: nvme}}\n"),
      HasSubstr("zero_optimization.offload_param.device: not a key of txtsum; host memory is offered, not disks"));
  EXPECT_THAT(found, HasSubstr("optimizer.type: not a key of txtsum; write optimizer.name=adamw"));
  EXPECT_THAT(found, HasSubstr("optimizer.params.lr: not a key of txtsum; write optimizer.learning_rate=1e-4"));
}

TEST(ForeignTable, NamesOnlyKeysThatWeHave) {
  std::set<std::string> keys;
  for (const KeyValue& each : list_values(ExperimentConfig{})) keys.insert(each.key);
  std::set<std::string_view> names;
  for (const ForeignGroup& group : foreign_table()) {
    for (const ForeignName& entry : group.names) {
      EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
      EXPECT_TRUE(!entry.ours.empty() || !entry.note.empty() || !entry.values.empty()) << entry.name;
      EXPECT_TRUE(entry.ours.empty() || keys.count(std::string(entry.ours)) == 1) << entry.ours;
    }
  }
}

TEST(ForeignTable, ItsWholeLinesAreValidSettings) {
  for (const ForeignGroup& group : foreign_table()) {
    for (const ForeignName& entry : group.names) {
      for (const auto& [theirs, line] : entry.values) {
        if (line.find("...") != std::string_view::npos) continue;
        std::vector<std::string> arguments;
        std::string rest(line);
        for (size_t space = rest.find(' '); space != std::string::npos; space = rest.find(' ')) {
          arguments.push_back(rest.substr(0, space));
          rest.erase(0, space + 1);
        }
        arguments.push_back(rest);
        EXPECT_NO_THROW(load_arguments(arguments)) << entry.name << " " << line;
      }
    }
  }
}

}  // namespace
}  // namespace txtsum::config
