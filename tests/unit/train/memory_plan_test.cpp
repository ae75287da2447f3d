// Planned states beside what Sharding and the optimizer really hold, byte for byte.

#include "txtsum/train/memory_plan.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <thread>

#include "train/sharding.h"
#include "training_fixture.h"
#include "txtsum/model/model_outline.h"
#include "txtsum/parallel/make_communicator.h"
#include "txtsum/train/batch_plan.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::tests {
namespace {

constexpr double kDeadlineSeconds = 60;

struct Held {
  int64_t values = 0, gradients = 0, masters = 0, moments = 0;
};

config::OptimizerConfig optimizer_config(config::OptimizerName name) {
  config::OptimizerConfig config;
  config.name = name;
  config.complete();
  return config;
}

Held held_by_a_rank(model::Arena& arena, parallel::Communicator& communicator, const config::OptimizerConfig& optimizer,
                    int64_t stage, at::ScalarType gradients) {
  config::ParallelConfig section;
  section.zero_stage = stage;
  const train::Sharding sharding(arena, communicator, section, gradients);
  const auto made = train::make_optimizer(optimizer, sharding.space());
  Held held;
  held.values = sharding.value_bytes();
  held.gradients = sharding.gradient_bytes();
  const bool apart = made->masters().const_data_ptr() != sharding.space().working.const_data_ptr();
  if (apart) held.masters = static_cast<int64_t>(made->masters().nbytes());
  const auto moments = made->moments();
  for (const auto& [name, tensor] : moments) held.moments += static_cast<int64_t>(tensor.nbytes());
  if (moments.empty()) {
    for (const train::StatePart& part : made->state()) held.moments += static_cast<int64_t>(part.values.nbytes());
  }
  return held;
}

model::LoadRequest tiny_model(const std::string& family, at::ScalarType dtype, std::vector<std::string> freeze) {
  model::LoadRequest request;
  request.folder = TXTSUM_SOURCE_DIR "/tests/fixtures/parity/" + family + "_tiny";
  request.random_weights = true;
  request.dtype = dtype;
  request.freeze = std::move(freeze);
  return request;
}

void expect_planned(const model::LoadRequest& request, int64_t ranks, int64_t stage, at::ScalarType gradients) {
  SCOPED_TRACE(request.folder + ", " + std::to_string(ranks) + " ranks, stage " + std::to_string(stage) + ", " +
               c10::toString(request.dtype) + " and " + c10::toString(gradients));
  const config::OptimizerConfig optimizer = optimizer_config(config::OptimizerName::kAdamW);
  auto communicators = parallel::make_thread_communicators(ranks, kDeadlineSeconds);
  std::vector<Held> held(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < held.size(); ++rank) {
    threads.emplace_back([&, rank] {
      const model::LoadedModel loaded = model::load_model(request);
      held[rank] = held_by_a_rank(loaded.model->arena(), *communicators[rank], optimizer, stage, gradients);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const train::RankStates planned =
      train::plan_states(model::outline_model(request).layout, optimizer,
                         {.stage = stage, .ranks = ranks, .weights = request.dtype, .gradients = gradients});
  for (const Held& rank : held) {
    EXPECT_EQ(planned.weights + planned.weight_slots, rank.values);
    EXPECT_EQ(planned.gradients + planned.gradient_slots, rank.gradients);
    EXPECT_EQ(planned.masters, rank.masters);
    EXPECT_EQ(planned.moments, rank.moments);
    EXPECT_EQ(planned.host, 0);
  }
}

TEST(MemoryPlan, IsWhatEachRankHoldsInEveryStage) {
  for (const auto& [dtype, gradients] : std::vector<std::pair<at::ScalarType, at::ScalarType>>{
           {at::kFloat, at::kFloat}, {at::kBFloat16, at::kBFloat16}, {at::kBFloat16, at::kFloat}}) {
    for (const int64_t ranks : {1, 2, 3}) {
      for (int64_t stage = 0; stage <= 3; ++stage) {
        expect_planned(tiny_model("bart", dtype, {}), ranks, stage, gradients);
      }
    }
  }
}

TEST(MemoryPlan, IsWhatEachRankHoldsOfEveryFamilyWithFrozenParts) {
  for (const char* family : {"led", "pegasus", "t5", "t5_gated"}) {
    for (int64_t stage = 0; stage <= 3; ++stage) {
      expect_planned(tiny_model(family, at::kBFloat16, {"encoder.layers.0"}), 2, stage, at::kFloat);
    }
  }
}

TEST(MemoryPlan, KnowsAdafactorsState) {
  for (const bool first_moment : {false, true}) {
    config::OptimizerConfig optimizer = optimizer_config(config::OptimizerName::kAdafactor);
    if (first_moment) optimizer.beta1 = 0.9;
    const model::LoadRequest request = tiny_model("t5", at::kFloat, {"encoder.layers.1"});
    const model::LoadedModel loaded = model::load_model(request);
    const auto communicator = std::move(parallel::make_thread_communicators(1, kDeadlineSeconds)[0]);
    const Held held = held_by_a_rank(loaded.model->arena(), *communicator, optimizer, 0, at::kFloat);
    EXPECT_EQ(train::plan_states(model::outline_model(request).layout, optimizer, {}).moments, held.moments);
  }
}

/// Bytes a trainable parameter as docs/parallelism.md has them for one GPU, with the slots and shards that stage 3 has.
TEST(MemoryPlan, MovesStatesToTheHost) {
  const model::ArenaLayout layout = model::outline_model(tiny_model("bart", at::kFloat, {})).layout;
  const int64_t P = layout.trainable_numel();
  const config::OptimizerConfig optimizer = optimizer_config(config::OptimizerName::kAdamW);
  const auto planned = [&](config::Offload offload, int64_t stage, at::ScalarType weights) {
    return train::plan_states(layout, optimizer,
                              {.stage = stage, .offload = offload, .weights = weights, .gradients = weights});
  };
  for (const auto& [weights, w] :
       std::vector<std::pair<at::ScalarType, int64_t>>{{at::kFloat, 4}, {at::kBFloat16, 2}}) {
    const train::RankStates optimizer_moved = planned(config::Offload::kOptimizer, 0, weights);
    EXPECT_EQ(optimizer_moved.host, 12 * P);
    EXPECT_EQ(optimizer_moved.device(), 2 * w * P);
    const train::RankStates all_moved = planned(config::Offload::kOptimizerAndParameters, 3, weights);
    const int64_t part = planned(config::Offload::kNone, 3, weights).moments / 8;
    EXPECT_EQ(all_moved.host, (w == 4 ? 12 : 14) * part);
    EXPECT_EQ(all_moved.device(), w * part + all_moved.slots());
    EXPECT_EQ(all_moved.slots(), planned(config::Offload::kNone, 3, weights).slots());
  }
}

TEST(BatchPlan, CountsUpdatesAndFindsTheLargestMicroBatches) {
  const data::Dataset dataset = tiny_dataset();
  config::TrainConfig config;
  config.epochs = 2.5;
  config.batch_size = 4;
  config.micro_batch_tokens = 12;
  const train::UpdatePlan updates = train::plan_updates(dataset, config, 7);
  EXPECT_EQ(updates.updates_in_epoch, 3);
  EXPECT_EQ(updates.total_updates, 8);  // a part of an epoch is rounded up
  EXPECT_FALSE(updates.one_micro_batch);
  const model::ModelFacts facts;
  for (const int64_t ranks : {1, 2}) {
    const train::MicroBatchPlan plan = train::plan_micro_batches(dataset, config, 7, ranks, facts, false);
    // Beside the batches that the ranks of a training are given.
    int64_t most = 0, count = 0, tokens = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      train::DatasetBatches batches(dataset, config, 7, 0, {rank, ranks});
      for (int64_t epoch = 0; epoch < 3; ++epoch) {
        for (int64_t index = 0; index < 3; ++index) {
          for (const train::MicroBatch& batch : batches.batch(epoch, index).micro_batches) {
            ++count;
            most = std::max(most, batch.source.tokens() + batch.labels.tokens());
            bool covered = false;
            for (const model::PassTokens& each : plan.largest) {
              covered = covered || (each.source >= batch.source.tokens() && each.target >= batch.labels.tokens());
            }
            EXPECT_TRUE(covered || batch.labels.ids_N.max().item<int64_t>() < 0);  // an empty one is no work
            if (epoch == 0) tokens += batch.source.tokens() + batch.labels.tokens();
          }
        }
      }
    }
    int64_t planned = 0;
    for (const model::PassTokens& each : plan.largest) planned = std::max(planned, each.source + each.target);
    EXPECT_EQ(planned, most);
    EXPECT_DOUBLE_EQ(plan.in_update, static_cast<double>(count) / static_cast<double>(9 * ranks));
    EXPECT_LE(plan.tokens, tokens);
    EXPECT_GE(plan.longest_share, 1.0);
  }
}

}  // namespace
}  // namespace txtsum::tests
