#include <gmock/gmock.h>

#include "config_files.h"

namespace txtsum::config {
namespace {

using testing::HasSubstr;

TEST(Include, FragmentsComeBeforeTheFileInTheirOrder) {
  ConfigFiles files;
  files.write("base/one.yaml", kLeast + "train: {epochs: 1, batch_size: 1}\nrun: {seed: 1}\n");
  files.write("base/two.yaml", "include: three.yaml\ntrain: {epochs: 2, log_every_updates: 2}\n");
  files.write("base/three.yaml", "train: {log_every_updates: 3, clip_norm: 3}\n");
  const ExperimentConfig config =
      files.load("include: [base/one.yaml, base/two.yaml]\nrun: {seed: 9}\n", {"train.clip_norm=4"});
  EXPECT_EQ(config.train.batch_size, 1);
  EXPECT_EQ(config.train.epochs, 2);
  EXPECT_EQ(config.train.log_every_updates, 2);
  EXPECT_EQ(config.train.clip_norm, 4);
  EXPECT_EQ(config.run.seed, 9);
  EXPECT_EQ(config.run.name, "x");
}

TEST(Include, AFileMayUnsetWhatAFragmentSets) {
  ConfigFiles files;
  files.write("base.yaml", kLeast + "generation: {beams: 6}\nschedule: {warmup_updates: 5}\n");
  const ExperimentConfig config =
      files.load("include: base.yaml\ngeneration: {beams: null}\nschedule: {warmup_share: 0.5}\n");
  EXPECT_EQ(config.generation.beams, std::nullopt);
  EXPECT_EQ(config.schedule.warmup_updates, std::nullopt);
}

TEST(Include, ComplaintsNameTheFragment) {
  ConfigFiles files;
  files.write("base.yaml", kLeast + "train:\n  epochs: none\n");
  EXPECT_EQ(
      files.complaints("include: base.yaml\n"),
      "base.yaml:6:3 train.epochs: wanted number, found 'none' (Ends training after so many passes over the data. "
      "The first limit that is reached counts.)");
}

TEST(Include, MissingAndCircularFilesAreComplaints) {
  ConfigFiles files;
  EXPECT_EQ(files.complaints("run: {seed: 1}\ninclude: no.yaml\n"), "x.yaml:2:1 include: no such file: no.yaml");
  EXPECT_EQ(files.complaints("include: x.yaml\n"), "x.yaml:1:1 include: x.yaml includes itself");
  EXPECT_THAT(files.complaints(kLeast + "include: {a: b}\n"), HasSubstr("wanted a file or a list of files"));
}

}  // namespace
}  // namespace txtsum::config
