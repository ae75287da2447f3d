#include "txtsum/io/checkpoint_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::io {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void save(const std::string& root, int64_t step, PublishMode mode, const std::string& content,
          const CheckpointWriter::StageObserver& observer = {}) {
  CheckpointWriter writer(root, step, mode, observer);
  writer.write("weights.bin", content);
  writer.write("state/rank-0.bin", content + content);
  if (observer) observer("files written");
  writer.publish();
}

std::vector<int64_t> steps(const std::string& root) {
  std::vector<int64_t> steps;
  for (const CheckpointPlace& place : list_checkpoints(root)) steps.push_back(place.step);
  return steps;
}

/// Saves in a child process that is ended, as by SIGKILL, when it reaches `stage`. Returns whether it got there.
bool save_killed_at(const std::string& root, int64_t step, PublishMode mode, const std::string& content,
                    const std::string& stage) {
  const pid_t child = ::fork();
  if (child == 0) {
    save(root, step, mode, content, [&](std::string_view reached) {
      if (reached == stage) ::_exit(7);
    });
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

const std::vector<std::string> kStages = {"files written", "sync files",   "write checksums", "write DONE",
                                          "rename",        "write latest", "finished"};

class CheckpointFolder : public ::testing::TestWithParam<PublishMode> {
 protected:
  tests::TemporaryFolder folder_;
};

TEST_P(CheckpointFolder, IsCompleteAfterPublishing) {
  save(folder_.path(), 30, GetParam(), "thirty");
  const std::string path = folder_.path("step-30");
  EXPECT_TRUE(is_complete(path));
  verify_checkpoint(path);
  EXPECT_EQ(core::read_file(path + "/state/rank-0.bin"), "thirtythirty");
  EXPECT_EQ(core::read_file(folder_.path("latest")), "step-30\n");
  EXPECT_EQ(latest_checkpoint(folder_.path())->path, path);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 2);
}

TEST_P(CheckpointFolder, ListsInNumericalOrder) {
  for (const int64_t step : {100, 9, 20}) save(folder_.path(), step, GetParam(), "x");
  fs::create_directories(folder_.path("step-500"));
  core::write_file(folder_.path("step-007/DONE"), "x");
  core::write_file(folder_.path("step-8x/DONE"), "x");
  EXPECT_THAT(steps(folder_.path()), ElementsAre(9, 20, 100));
  EXPECT_TRUE(list_checkpoints(folder_.path("none")).empty());
  EXPECT_FALSE(latest_checkpoint(folder_.path("none")).has_value());
}

TEST_P(CheckpointFolder, KillAtAnyStageLeavesAllOrNothing) {
  for (const std::string& stage : kStages) {
    const tests::TemporaryFolder root;
    save(root.path(), 1, GetParam(), "first");
    const bool reached = save_killed_at(root.path(), 2, GetParam(), "second", stage);
    EXPECT_EQ(reached, GetParam() == PublishMode::kRename || stage != "rename") << stage;
    verify_checkpoint(root.path("step-1"));
    const std::optional<CheckpointPlace> latest = latest_checkpoint(root.path());
    ASSERT_TRUE(latest.has_value()) << stage;
    verify_checkpoint(latest->path);
    const bool done = stage == "write latest" || stage == "finished" || !reached;
    EXPECT_EQ(latest->step, done ? 2 : 1) << stage;
    // The next attempt at the same step succeeds over whatever is left.
    save(root.path(), 2, GetParam(), "again");
    verify_checkpoint(root.path("step-2"));
    EXPECT_EQ(core::read_file(root.path("step-2/weights.bin")), "again");
    EXPECT_EQ(std::distance(fs::directory_iterator(root.path()), fs::directory_iterator()), 3) << stage;
  }
}

TEST_P(CheckpointFolder, KillWhileReplacingAStepNeverShowsAMixture) {
  for (const std::string& stage : kStages) {
    const tests::TemporaryFolder root;
    save(root.path(), 2, GetParam(), "old");
    save_killed_at(root.path(), 2, GetParam(), "newer", stage);
    const std::optional<CheckpointPlace> latest = latest_checkpoint(root.path());
    if (GetParam() == PublishMode::kRename) {
      ASSERT_TRUE(latest.has_value()) << stage;
    }
    if (!latest) continue;
    verify_checkpoint(latest->path);
    const std::string content = core::read_file(latest->path + "/weights.bin");
    EXPECT_EQ(core::read_file(latest->path + "/state/rank-0.bin"), content + content) << stage;
  }
}

TEST_P(CheckpointFolder, RemovesWhatAKilledProcessLeft) {
  save(folder_.path(), 1, GetParam(), "first");
  save_killed_at(folder_.path(), 2, GetParam(), "second", "write DONE");
  fs::create_directories(folder_.path(".hidden.partial"));
  EXPECT_EQ(remove_unfinished_checkpoints(folder_.path()).size(), 1u);
  EXPECT_THAT(steps(folder_.path()), ElementsAre(1));
  EXPECT_TRUE(fs::exists(folder_.path(".hidden.partial")));
}

TEST_P(CheckpointFolder, KeepsWhatWasFinishedAndIsDamaged) {
  save(folder_.path(), 1, GetParam(), "first");
  save(folder_.path(), 2, GetParam(), "second");
  save(folder_.path(), 3, GetParam(), "third");
  fs::remove(folder_.path("step-1/weights.bin"));
  std::ofstream(folder_.path("step-2/DONE"), std::ios::trunc).flush();  // killed while it was written
  EXPECT_EQ(remove_unfinished_checkpoints(folder_.path()), std::vector<std::string>{folder_.path("step-2")});
  EXPECT_TRUE(fs::exists(folder_.path("step-1/state/rank-0.bin")));
  EXPECT_THAT(steps(folder_.path()), ElementsAre(3));
  const std::vector<CheckpointPlace> finished = list_finished_checkpoints(folder_.path());
  ASSERT_EQ(finished.size(), 2u);
  EXPECT_EQ(finished.front().step, 1);
}

TEST_P(CheckpointFolder, NamesTheBadFile) {
  save(folder_.path(), 3, GetParam(), "content");
  const std::string weights = folder_.path("step-3/weights.bin");
  std::ofstream(weights, std::ios::trunc) << "c0ntent";
  EXPECT_TRUE(is_complete(folder_.path("step-3")));  // same size: only reading it tells
  try {
    verify_checkpoint(folder_.path("step-3"));
    FAIL();
  } catch (const core::DataError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(weights), HasSubstr("corrupt")));
  }
  std::ofstream(weights, std::ios::trunc) << "conten";
  EXPECT_FALSE(is_complete(folder_.path("step-3")));
  fs::remove(weights);
  EXPECT_FALSE(is_complete(folder_.path("step-3")));
}

TEST_P(CheckpointFolder, IsNotCompleteWithADamagedList) {
  save(folder_.path(), 3, GetParam(), "content");
  const std::string list = folder_.path("step-3/checksums.json");
  const std::string before = core::read_file(list);
  core::write_file(list, before + " ");
  EXPECT_FALSE(is_complete(folder_.path("step-3")));
  core::write_file(list, "{}");
  core::write_file(folder_.path("step-3/DONE"), core::content_hash("{}") + "\n");
  EXPECT_FALSE(is_complete(folder_.path("step-3")));
}

TEST_P(CheckpointFolder, KeepsTheLastAndTheProtected) {
  for (const int64_t step : {1, 2, 3, 4, 5}) save(folder_.path(), step, GetParam(), "x");
  EXPECT_THAT(remove_old_checkpoints(folder_.path(), 2, {2}), ElementsAre(1, 3));
  EXPECT_THAT(steps(folder_.path()), ElementsAre(2, 4, 5));
  EXPECT_TRUE(remove_old_checkpoints(folder_.path(), 7, {}).empty());
}

TEST_P(CheckpointFolder, RemovesAnUnpublishedFolder) {
  {
    CheckpointWriter writer(folder_.path(), 1, GetParam());
    writer.write("weights.bin", "x");
    writer.copy(writer.path("weights.bin"), "copy.bin");
    EXPECT_EQ(core::read_file(writer.path("copy.bin")), "x");
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

INSTANTIATE_TEST_SUITE_P(Modes, CheckpointFolder, ::testing::Values(PublishMode::kRename, PublishMode::kInPlace));

}  // namespace
}  // namespace txtsum::io
