#include <gmock/gmock.h>

#include <algorithm>

#include "config_files.h"

namespace txtsum::config {
namespace {

using testing::HasSubstr;

TEST(Complaints, ComeAllAtOnceWithTheirPlaces) {
  ConfigFiles files;
  const std::string text = R"(model:
  checkpoint: m
  init: randm
train:
  lerning_rate: 3e-5
  epochs: many
  batch_size: 0
  sampler: length_bucket
trian:
  epochs: 3
run:
  seed: auto
)";
  EXPECT_EQ(
      files.complaints(text, {"optimizer.learning_rate=-1", "train.epoch=2", "hello"}),
      R"(x.yaml data.train: is missing. Training file or files; the ending says the format: .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .arrow, .feather. Or a folder: of datasets' save_to_disk, or of Parquet or Arrow shards; of several splits in it, the one of the key's name is read. Set it in the file, or as data.train=...
x.yaml:3:3 model.init: wanted pretrained or random, found 'randm' (did you mean random?) (`pretrained` reads the weights; `random` builds from config.json alone.)
x.yaml:5:3 train.lerning_rate: unknown key (did you mean optimizer.learning_rate?)
x.yaml:6:3 train.epochs: wanted number, found 'many' (Ends training after so many passes over the data. The first limit that is reached counts.)
x.yaml:7:3 train.batch_size: must be at least 1, found 0 (Examples an update, over all ranks and micro-batches.)
x.yaml:8:3 train.sampler: wanted random or length_bucketed, found 'length_bucket' (did you mean length_bucketed?) (Order of examples within an epoch; `length_bucketed` puts similar lengths together.)
x.yaml:10:3 trian.epochs: unknown key (did you mean train.epochs?)
x.yaml:12:3 run.seed: auto is not a value; leave the key out for its default, or write what you want (Seed of the examples' order, dropout and random weights.)
argument 1: optimizer.learning_rate=-1: must be more than 0, found -1 (Peak learning rate.)
argument 2: train.epoch=2: unknown key (did you mean train.epochs?)
argument 3: hello: settings are written section.key=value)");
}

TEST(Complaints, NameMissingRequiredKeys) {
  ConfigFiles files;
  const std::string found = files.complaints("");
  EXPECT_THAT(found, HasSubstr("x.yaml model.checkpoint: is missing."));
  EXPECT_THAT(found, HasSubstr("x.yaml data.train: is missing."));
  EXPECT_THAT(files.complaints("model:\n  checkpoint:\ndata: {train: a.csv}\n"), HasSubstr("x.yaml:2:3"));
}

TEST(Complaints, NameAKeyThatIsSetTwice) {
  ConfigFiles files;
  EXPECT_EQ(files.complaints(kLeast + "train:\n  epochs: 1\n  batch_size: 2\n  epochs: 2\n"),
            "x.yaml:8:3 train.epochs: set twice (first in line 6)");
  EXPECT_EQ(files.complaints(kLeast + "train: {epochs: 1}\ntrain: {batch_size: 1}\n"),
            "x.yaml:6:1 train: set twice (first in line 5)");
  EXPECT_EQ(files.complaints(kLeast, {"train.epochs=1", "train.epochs=2"}), "argument 2: train.epochs=2: set twice");
}

TEST(Complaints, NameExclusiveKeysOfOneLevel) {
  ConfigFiles files;
  EXPECT_EQ(files.complaints(kLeast + "train:\n  batch_tokens: 100\n  batch_size: 2\n"),
            "x.yaml:7:3 train.batch_size: cannot be set together with train.batch_tokens");
  EXPECT_EQ(files.complaints(kLeast, {"train.batch_tokens=100", "train.batch_size=2"}),
            "argument 2: train.batch_size=2: cannot be set together with train.batch_tokens");
}

TEST(Complaints, SayWhereYamlIsNotValid) {
  ConfigFiles files;
  EXPECT_THAT(files.complaints("train:\n\tepochs: 3\n"), HasSubstr("x.yaml:2:1: not valid YAML: a tab"));
  EXPECT_THAT(files.complaints("train: [1, 2\nmodel: {"), HasSubstr("not valid YAML: "));
  EXPECT_EQ(files.complaints("- a\n- b\n"), "x.yaml:1:1: a config is `section:` with keys below it");
  EXPECT_EQ(files.complaints("just words"), "x.yaml:1:1: a config is `section:` with keys below it");
  EXPECT_THAT(files.complaints(kLeast + "---\ntrain: {epochs: 1}\n"), HasSubstr("a second document"));
  EXPECT_THAT(files.complaints(" , train\n"), HasSubstr(":1:2: not valid YAML: no value can begin here"));
  EXPECT_THAT(files.complaints("[a]: b\n"), HasSubstr("a key must be a word"));
}

/// yaml-cpp makes bytes that are no UTF-8 of all of these.
TEST(Complaints, RefuseEscapesThatAreReadAsOtherCharacters) {
  ConfigFiles files;
  using namespace std::string_literals;
  for (const char* text : {"run:\n  name: \"a\\Nb\"\n", "run:\n  name: \"a\\_b\"\n", "run:\n  \"na\\Nme\": b\n"}) {
    EXPECT_THAT(files.complaints(text), HasSubstr("write the character itself")) << text;
  }
  EXPECT_THAT(files.complaints("run:\n  name: a\0Nb\n"s), HasSubstr(":2:10: not valid YAML: a zero byte"));
  EXPECT_EQ(files.load(kLeast + "run: {name: \"a\\u0085b\\u00A0\"}\n"s).run.name,
            "a\xC2\x85"
            "b\xC2\xA0");
}

TEST(Complaints, RefuseAnEndlessAlias) {
  ConfigFiles files;
  EXPECT_THAT(files.complaints("train: &t\n  again: *t\n"), HasSubstr("nested too deeply, or more than"));
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    std::string list = below;
    for (int j = 0; j < 9; ++j) list.append(", ").append(below);
    laughs.append("a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + list + "]\n");
  }
  EXPECT_THAT(files.complaints(laughs), HasSubstr("nested too deeply, or more than"));
}

TEST(Complaints, RefuseWrongTypes) {
  ConfigFiles files;
  const auto complaint = [&](const std::string& argument) { return files.complaints(kLeast, {argument}); };
  EXPECT_THAT(complaint("train.batch_size=1.5"), HasSubstr("wanted whole number, found '1.5'"));
  EXPECT_THAT(complaint("train.batch_size=99999999999999999999"), HasSubstr("is too large"));
  EXPECT_THAT(complaint("train.epochs=nan"), HasSubstr("wanted number"));
  EXPECT_THAT(complaint("train.epochs=inf"), HasSubstr("wanted number"));
  EXPECT_THAT(complaint("validation.loss=yes"), HasSubstr("wanted true or false, found 'yes'"));
  EXPECT_THAT(complaint("validation.loss=null"), HasSubstr("wanted true or false, found nothing"));
  EXPECT_THAT(complaint("run.name=[a]"), HasSubstr("wanted text, found a list"));
  EXPECT_THAT(complaint("generation.suppress_tokens=3"), HasSubstr("wanted list of whole numbers, found '3'"));
  EXPECT_THAT(complaint("generation.suppress_tokens=[-3]"), HasSubstr("must be at least 0"));
  EXPECT_THAT(complaint("data.train=[a.csv"), HasSubstr("not valid YAML"));
  EXPECT_THAT(complaint("run.resume="), HasSubstr("must not be empty"));
  EXPECT_THAT(complaint("model.dropout=1"), HasSubstr("must be at least 0 and less than 1, found 1"));
  EXPECT_THAT(files.complaints(kLeast + "train: 5\n"), HasSubstr("x.yaml:5:1 train: is a section"));
  EXPECT_THAT(files.complaints(kLeast + "train: {epochs: {of: 3}}\n"), HasSubstr("has a value and no keys below it"));
  EXPECT_THAT(files.complaints(kLeast + "train: {epochs: {}}\n"), HasSubstr("wanted number, found keys below it"));
  EXPECT_THAT(files.complaints(kLeast + "run: {device: tpu}\n"), HasSubstr("wanted cpu or cuda, found 'tpu'"));
}

TEST(Complaints, RefuseFp16WhereItsLossScaleIsNot) {
  ConfigFiles files;
  const std::string gpu = kLeast + "run: {device: cuda}\n";
  EXPECT_EQ(files.complaints(gpu, {"train.precision=fp16"}), "");
  EXPECT_THAT(files.complaints(kLeast, {"train.precision=fp16"}), HasSubstr("fp16 is for GPUs: set run.device=cuda"));
  EXPECT_THAT(files.complaints(gpu, {"train.precision=fp16", "optimizer.name=adafactor"}),
              HasSubstr("with optimizer.name=adamw alone"));
}

TEST(Complaints, AutoIsAValueOfResumeOnly) {
  ConfigFiles files;
  EXPECT_EQ(files.complaints(kLeast, {"run.resume=auto"}), "");
  EXPECT_THAT(files.complaints(kLeast, {"train.batch_size=auto"}), HasSubstr("auto is not a value"));
  EXPECT_THAT(files.complaints(kLeast, {"train.precision=auto"}), HasSubstr("auto is not a value"));
  EXPECT_THAT(files.complaints(kLeast, {"model.freeze=[auto]"}), HasSubstr("auto is not a value"));
}

TEST(Complaints, SuggestASectionOrSayThatThereIsNone) {
  ConfigFiles files;
  EXPECT_THAT(files.complaints(kLeast, {"optimiser.weight_decay=0"}),
              HasSubstr("did you mean optimizer.weight_decay?"));
  EXPECT_THAT(files.complaints(kLeast, {"validation.on_strat=true"}), HasSubstr("did you mean validation.on_start?"));
  EXPECT_THAT(files.complaints(kLeast, {"zzzzzzzzzz=1"}), HasSubstr("unknown key (`txtsum config docs` lists all)"));
}

TEST(Complaints, AreAllThatADamagedFileCausesAtAnyByte) {
  ConfigFiles files;
  const std::string text = core::read_file(TXTSUM_SOURCE_DIR "/configs/quickstart.yaml");
  int refused = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char damage : {'\0', '\t', ':', '[', '{', '*', '&', '"', '\xff'}) {
      std::string damaged = text;
      damaged[i] = damage;
      refused += files.complaints(damaged).empty() ? 0 : 1;  // any other exception fails the test
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Complaints, NameAFileThatIsNotThere) {
  try {
    load_experiment("/no/such.yaml");
    FAIL() << "nothing was thrown";
  } catch (const core::UserError& error) {
    EXPECT_EQ(std::string(error.what()), "/no/such.yaml: no such file");
  }
}

}  // namespace
}  // namespace txtsum::config
