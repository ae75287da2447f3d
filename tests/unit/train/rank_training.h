#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "training_fixture.h"
#include "txtsum/io/checkpoint_folder.h"
#include "txtsum/io/weight_folder.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::tests {

inline constexpr double kRankDeadlineSeconds = 60;

/// What a training on ranks that are threads gave.
struct RankResult {
  at::Tensor weights;  ///< Masters of the whole model, as the last checkpoint has them.
  std::vector<train::UpdateRecord> updates;
  parallel::TrafficCounts counts;
  std::vector<std::string> errors;  ///< By rank; empty where all went well.
};

/// One training of a FakeModel.
struct Setting {
  int64_t ranks = 1, stage = 0;
  at::ScalarType dtype = at::kFloat;
  int64_t micro_batch_tokens = 1000;
  std::vector<std::string> frozen = {};
  bool recompute = false;
  int64_t updates = 6;
  std::string resume_from = {};
  io::PublishMode publish_mode = io::PublishMode::kRename;
  config::Offload offload = config::Offload::kNone;
  train::FolderWriter write_folder = [](const std::string&) {};
  bool leaves_out = false;  ///< FakeModel::leaves_out.
  bool fails = false;       ///< All ranks end with errors.
};

inline at::Tensor saved_weights(const std::string& step_folder) {
  const io::WeightFolder folder(step_folder);
  std::vector<at::Tensor> all;
  for (const char* name : {"table", "positions", "up.first", "up.second", "down", "bias"}) {
    all.push_back(folder.tensor(name).to(at::kFloat).reshape({-1}));
  }
  return at::cat(all);
}

/// Trains on ranks that are threads; rank 0's result.
inline RankResult train(const Setting& setting, const std::string& folder) {
  auto communicators = parallel::make_thread_communicators(setting.ranks, kRankDeadlineSeconds);
  std::vector<std::thread> threads;
  std::vector<std::string> errors(static_cast<size_t>(setting.ranks));
  RankResult result;
  for (int64_t rank = 0; rank < setting.ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const auto at = static_cast<size_t>(rank);
      try {
        Attempt attempt(folder, setting.dtype, setting.frozen);
        attempt.model.leaves_out = setting.leaves_out;
        attempt.communicator = std::move(communicators[at]);
        attempt.share = {rank, setting.ranks};
        attempt.settings.parallel.zero_stage = setting.stage;
        attempt.settings.parallel.offload = setting.offload;
        attempt.settings.train.micro_batch_tokens = setting.micro_batch_tokens;
        attempt.settings.train.max_updates = setting.updates;
        attempt.settings.train.epochs.reset();
        attempt.settings.schedule.name = config::ScheduleName::kConstant;  // the same for any number of updates
        attempt.settings.checkpoint.every_updates = 1000;                  // at the end
        attempt.settings.resume_from = setting.resume_from;
        attempt.write_folder = setting.write_folder;
        attempt.settings.publish_mode = setting.publish_mode;
        attempt.settings.max_shard_bytes = 600;  // several files
        if (setting.recompute) attempt.settings.train.recompute = config::Recompute::kBlocks;
        const train::TrainOutcome outcome = attempt.run();
        if (rank != 0) return;
        result.weights = saved_weights(outcome.last_checkpoint);
        result.updates = attempt.recorder.updates;
        result.counts = attempt.communicator->counts();
      } catch (const std::exception& error) {
        errors[at] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) EXPECT_EQ(error.empty(), !setting.fails) << error;
  result.errors = errors;
  return result;
}

inline void expect_same_bits(const RankResult& a, const RankResult& b) {
  EXPECT_TRUE(at::equal(a.weights, b.weights)) << (a.weights - b.weights).abs().max();
  ASSERT_EQ(a.updates.size(), b.updates.size());
  for (size_t i = 0; i < a.updates.size(); ++i) {
    EXPECT_EQ(a.updates[i].loss, b.updates[i].loss) << i;
    EXPECT_EQ(a.updates[i].gradient_norm, b.updates[i].gradient_norm) << i;
    EXPECT_EQ(a.updates[i].examples, b.updates[i].examples) << i;
  }
}

}  // namespace txtsum::tests
