// Ranks as threads: all stages on one number of ranks give the same bits, several ranks what one gives up to rounding,
// and what is sent is what the formulas say.

#include "train/sharding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "rank_training.h"
#include "support/temporary_folder.h"
#include "txtsum/core/file.h"

namespace txtsum::tests {
namespace {

TEST(Sharding, AllStagesGiveTheSameBitsOnOneNumberOfRanks) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (int64_t ranks = 1; ranks <= 4; ++ranks) {
      const TemporaryFolder folder;
      const RankResult plain = train({.ranks = ranks, .dtype = dtype}, folder.path("0"));
      EXPECT_GT(plain.updates.size(), 0u);
      for (int64_t stage = 1; stage <= 3; ++stage) {
        SCOPED_TRACE(std::string(c10::toString(dtype)) + ", " + std::to_string(ranks) + " ranks, stage " +
                     std::to_string(stage));
        expect_same_bits(plain,
                         train({.ranks = ranks, .stage = stage, .dtype = dtype}, folder.path(std::to_string(stage))));
      }
    }
  }
}

TEST(Sharding, StagesAgreeWithFrozenWeightsRecomputationAndSeveralMicroBatches) {
  for (int64_t ranks = 1; ranks <= 3; ++ranks) {
    const TemporaryFolder folder;
    Setting setting{.ranks = ranks, .micro_batch_tokens = 12, .frozen = {"positions", "up.first"}, .recompute = true};
    std::vector<RankResult> results;
    for (setting.stage = 0; setting.stage <= 3; ++setting.stage) {
      results.push_back(train(setting, folder.path(std::to_string(setting.stage))));
    }
    // Micro-batches are added before ranks in stages 0 and 1, behind them in 2 and 3.
    expect_same_bits(results[0], results[1]);
    expect_same_bits(results[2], results[3]);
    EXPECT_TRUE(at::allclose(results[0].weights, results[2].weights, 1e-5, 1e-6));
  }
}

TEST(Sharding, WhatAnUpdateLeavesOutHasNoGradientOfTheOneBefore) {
  for (int64_t ranks = 1; ranks <= 2; ++ranks) {
    const TemporaryFolder folder;
    Setting setting{.ranks = ranks, .leaves_out = true};
    const RankResult plain = train(setting, folder.path("0"));
    for (setting.stage = 1; setting.stage <= 3; ++setting.stage) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks, stage " + std::to_string(setting.stage));
      expect_same_bits(plain, train(setting, folder.path(std::to_string(setting.stage))));
    }
    // Several micro-batches are added to memory that was cleared.
    setting.micro_batch_tokens = 12;
    for (setting.stage = 0; setting.stage <= 2; setting.stage += 2) {
      const RankResult several = train(setting, folder.path("several-" + std::to_string(setting.stage)));
      EXPECT_TRUE(at::allclose(plain.weights, several.weights, 1e-5, 1e-6)) << ranks << " ranks, " << setting.stage;
    }
  }
}

/// The number of the mark that an element of the space waits for.
size_t mark_of(const std::vector<ops::GradientMark>& marks, int64_t element) {
  size_t index = 0;
  while (marks.at(index).begin > element) ++index;
  return index;
}

TEST(Sharding, EachBlockOfASpaceHasAMarkOfItsOwnFromTheLastOneDown) {
  for (const int64_t frozen : {-1, 0, 2, 4}) {
    std::vector<model::ParameterSpec> specs;
    for (int64_t block = 0; block < 5; ++block) {
      for (const char* name : {"matrix", "bias"}) {
        const int64_t rows = name[0] == 'b' ? 1 : 30 + block;
        specs.push_back({name + std::to_string(block), {rows, 7}, block, rows > 1, "", false, block == frozen});
      }
    }
    const model::ArenaLayout layout(specs);
    for (int64_t world = 1; world <= 4; ++world) {
      const parallel::ShardPlan plan = train::shard_plan_of(layout, at::kFloat, world - 1, world, /*trainable=*/true);
      const train::GradientMarks shard(layout, &plan, at::kCPU), whole(layout, nullptr, at::kCPU);
      std::map<int64_t, size_t> marks;  // by block
      for (int64_t block = layout.block_count() - 1; block >= 0; --block) {
        const model::ArenaRange range = layout.block_range(block, /*trainable=*/true);
        if (range.numel() == 0) continue;
        marks[block] = mark_of(whole.all(), range.begin);
        EXPECT_EQ(marks[block], marks.size() - 1) << "block " << block;
        EXPECT_EQ(marks[block], mark_of(whole.all(), range.end - 1));
        for (const parallel::OwnedRange& owned : plan.owned()) {
          if (owned.range.begin < range.begin || owned.range.begin >= range.end) continue;
          EXPECT_EQ(mark_of(shard.all(), owned.local), marks[block]);
          EXPECT_EQ(mark_of(shard.all(), owned.local + owned.range.numel() - 1), marks[block]);
        }
      }
      EXPECT_EQ(whole.all().back().begin, 0);
      EXPECT_EQ(shard.all().back().begin, 0);
      EXPECT_EQ(shard.all().size(), marks.size());
      EXPECT_EQ(whole.all().size(), marks.size());
    }
  }
}

TEST(Sharding, SeveralRanksTrainLikeOne) {
  const TemporaryFolder folder;
  const RankResult one = train({}, folder.path("one"));
  for (int64_t ranks = 2; ranks <= 4; ++ranks) {
    const RankResult several = train({.ranks = ranks, .stage = 2}, folder.path(std::to_string(ranks)));
    EXPECT_TRUE(at::allclose(one.weights, several.weights, 1e-5, 1e-6)) << ranks;
    ASSERT_EQ(one.updates.size(), several.updates.size());
    for (size_t i = 0; i < one.updates.size(); ++i) {
      EXPECT_NEAR(one.updates[i].loss, several.updates[i].loss, 1e-5);
      EXPECT_EQ(one.updates[i].examples, several.updates[i].examples);
      EXPECT_EQ(one.updates[i].source_tokens, several.updates[i].source_tokens);
    }
  }
}

/// A checkpoint does not say on how many ranks and in which stage it was made: 1 -> 2 -> 4 -> 1 ranks, stages 0, 3, 2
/// and 1, against a run that is never stopped, on one rank.
TEST(Sharding, ACheckpointGoesOnWithAnyNumberOfRanksAndAnyStage) {
  const TemporaryFolder folder;
  const RankResult whole = train({.updates = 8}, folder.path("whole"));
  const std::string run = folder.path("run");
  Setting setting;
  RankResult last;
  for (const auto& [ranks, stage] : std::vector<std::pair<int64_t, int64_t>>{{1, 0}, {2, 3}, {4, 2}, {1, 1}}) {
    setting.ranks = ranks;
    setting.stage = stage;
    setting.updates = setting.resume_from.empty() ? 2 : setting.updates + 2;
    last = train(setting, run);
    setting.resume_from = run + "/step-" + std::to_string(setting.updates);
  }
  EXPECT_TRUE(at::allclose(whole.weights, last.weights, 1e-5, 1e-6));
  ASSERT_EQ(last.updates.size(), 2u);
  EXPECT_NEAR(whole.updates.back().loss, last.updates.back().loss, 1e-5);
}

/// Every file of a step that holds tensors, by name.
std::map<std::string, std::string> tensor_files(const std::string& step_folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(step_folder)) {
    const std::string name = entry.path().filename();
    if (name.find(".safetensors") != std::string::npos) files[name] = core::read_file(entry.path());
  }
  return files;
}

/// Each rank writes its pieces, or hands them to rank 0: the bytes are those that one rank writes that has everything.
TEST(Sharding, CheckpointsAreTheSameBytesInEveryStageAndModeOfPublishing) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t ranks : {1, 3}) {
      const TemporaryFolder folder;
      Setting setting{.ranks = ranks, .dtype = dtype, .frozen = {"positions", "up.first"}, .updates = 2};
      train(setting, folder.path("plain"));
      const auto plain = tensor_files(folder.path("plain/step-2"));
      EXPECT_EQ(plain.size(), 6u);  // four of weights, their index, the moments
      for (const io::PublishMode mode : {io::PublishMode::kRename, io::PublishMode::kInPlace}) {
        setting.publish_mode = mode;
        for (setting.stage = 0; setting.stage <= 3; ++setting.stage) {
          const bool in_place = mode == io::PublishMode::kInPlace;
          const std::string name = std::to_string(setting.stage) + (in_place ? " in place" : " renamed");
          SCOPED_TRACE(std::to_string(ranks) + " ranks, stage " + name);
          train(setting, folder.path(name));
          io::verify_checkpoint(folder.path(name + "/step-2"));
          EXPECT_TRUE(tensor_files(folder.path(name + "/step-2")) == plain);
        }
      }
    }
  }
}

/// The first of several files is a folder: no rank waits for pieces that another does not send any more.
TEST(Sharding, AFileThatCannotBeWrittenEndsAllRanksWithItsName) {
  const TemporaryFolder folder;
  train({.updates = 2}, folder.path("well"));
  const std::string name = tensor_files(folder.path("well/step-2")).begin()->first;
  for (const io::PublishMode mode : {io::PublishMode::kRename, io::PublishMode::kInPlace}) {
    for (int64_t stage = 0; stage <= 3; ++stage) {
      SCOPED_TRACE("stage " + std::to_string(stage) + (mode == io::PublishMode::kInPlace ? " in place" : ""));
      Setting setting{.ranks = 2, .stage = stage, .updates = 2, .publish_mode = mode};
      setting.write_folder = [&](const std::string& step) { std::filesystem::create_directory(step + "/" + name); };
      setting.fails = true;
      const std::string run = folder.path(std::to_string(stage) + std::to_string(static_cast<int>(mode)));
      for (const std::string& error : train(setting, run).errors) {
        EXPECT_NE(error.find(name + ": cannot"), std::string::npos) << error;
      }
    }
  }
}

/// On one number of ranks the way there changes no bit, whatever the stages.
TEST(Sharding, ResumingInAnotherStageChangesNoBit) {
  const TemporaryFolder folder;
  const RankResult whole = train({.ranks = 2}, folder.path("whole"));
  const std::string run = folder.path("run");
  train({.ranks = 2, .stage = 3, .updates = 3}, run);
  const RankResult resumed = train({.ranks = 2, .stage = 0, .resume_from = run + "/step-3"}, run);
  EXPECT_TRUE(at::equal(whole.weights, resumed.weights));
}

/// Elements that a rank sends in an update of one micro-batch: stages 0 to 2 2 P (n - 1) / n, stage 3 once more those
/// of the blocks that come and go, but for what is still there from the forward pass when its backward pass begins.
TEST(Sharding, WhatIsSentFollowsTheFormulas) {
  FakeModel model;
  const model::ArenaLayout& layout = model.arena().layout();
  const int64_t P = layout.trainable_numel();
  for (const int64_t n : {2, 4}) {
    for (int64_t stage = 0; stage <= 3; ++stage) {
      SCOPED_TRACE(std::to_string(n) + " ranks, stage " + std::to_string(stage));
      const TemporaryFolder folder;
      const auto sent = [&](int64_t updates) {
        return train({.ranks = n, .stage = stage, .updates = updates}, folder.path(std::to_string(updates))).counts;
      };
      const parallel::TrafficCounts two = sent(2), five = sent(5);
      const int64_t share = (n - 1) * 3;  // of n, in three updates
      EXPECT_EQ((five.reduce_scatter_elements - two.reduce_scatter_elements) * n, share * P);
      // FakeModel has one block that comes and goes: it is still there when its backward pass begins.
      EXPECT_EQ((five.all_gather_elements - two.all_gather_elements) * n, share * P);
    }
  }
}

}  // namespace
}  // namespace txtsum::tests
