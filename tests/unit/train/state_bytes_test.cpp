// What is said to be kept for a parameter against what an optimizer and a sharding do keep.

#include "txtsum/train/state_bytes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "fake_model.h"
#include "support/rank_threads.h"
#include "train/memory_account.h"
#include "training_fixture.h"

namespace txtsum::tests {
namespace {

const std::vector<std::string> kNames{"table", "positions", "up.first", "up.second", "down", "bias"};

struct Choice {
  config::OptimizerName optimizer = config::OptimizerName::kAdamW;
  std::optional<double> beta1 = 0.9;
  at::ScalarType weights = at::kFloat, gradients = at::kFloat;
};

/// What the memory account finds of a training in which `frozen` are.
train::MemoryAccount account(const Choice& choice, const std::vector<std::string>& frozen) {
  FakeModel model(choice.weights, frozen);
  const data::Dataset data = tiny_dataset();
  config::TrainConfig train;
  train.complete();
  config::OptimizerConfig optimizer_config;
  optimizer_config.name = choice.optimizer;
  optimizer_config.beta1 = choice.beta1;
  train::DatasetBatches batches(data, train, 1, 0);
  const auto ranks = parallel::make_single_communicator();
  train::Sharding sharding(model.arena(), *ranks, {}, choice.gradients);
  const auto optimizer = train::make_optimizer(optimizer_config, sharding.space());
  return train::account_of({train, 1, model, batches, sharding, *optimizer});
}

TEST(StateBytes, OfEachParameterAreWhatTheMemoryAccountLosesWhenItIsFrozen) {
  for (const Choice& choice :
       {Choice{}, Choice{.weights = at::kBFloat16}, Choice{.weights = at::kBFloat16, .gradients = at::kBFloat16},
        Choice{.optimizer = config::OptimizerName::kAdafactor, .beta1 = std::nullopt},
        Choice{.optimizer = config::OptimizerName::kAdafactor, .weights = at::kBFloat16}}) {
    const train::MemoryAccount all = account(choice, {});
    config::OptimizerConfig optimizer;
    optimizer.name = choice.optimizer;
    optimizer.beta1 = choice.beta1;
    for (const std::vector<std::string>& frozen :
         {std::vector<std::string>{"table"}, {"positions"}, {"up.first", "up.second"}, {"down"}, {"bias"}}) {
      SCOPED_TRACE(frozen.front());
      const FakeModel model(choice.weights, frozen);
      const train::MemoryAccount less = account(choice, frozen);
      train::StateBytes saved;
      int64_t elements = 0;
      for (const model::ArenaEntry& entry : model.arena().layout().entries()) {
        if (entry.in_trainable_range) continue;
        saved += train::state_bytes(entry, optimizer, {choice.weights, choice.gradients});
        elements += entry.numel;
      }
      ASSERT_GT(elements, 0);
      EXPECT_EQ(train::elements_without_states(model.arena().layout()), elements);
      // Gradients, masters and AdamW's moments are cut from buffers in which each tensor begins at a multiple of 128
      // elements.
      const model::ArenaLayout& layout = model.arena().layout();
      const int64_t aligned = layout.total_numel() - layout.trainable_numel();
      EXPECT_EQ(saved.gradients, (all.gradients - less.gradients) * elements / aligned);
      EXPECT_EQ(saved.masters, (all.masters - less.masters) * elements / aligned);
      const bool whole = choice.optimizer == config::OptimizerName::kAdamW;
      EXPECT_EQ(saved.moments, (all.moments - less.moments) * (whole ? elements : 1) / (whole ? aligned : 1));
    }
  }
}

TEST(StateBytes, AFrozenMemberOfALearningGroupSavesNothing) {
  const FakeModel model(at::kFloat, {"up.first"});
  EXPECT_EQ(train::elements_without_states(model.arena().layout()), 0);
}

/// Elements that rank 0 of two sends in a training of one update of one micro-batch.
int64_t sent(int64_t stage, const std::vector<std::string>& frozen) {
  int64_t elements = 0;
  run_ranks(2, [&](parallel::Communicator& ranks) {
    FakeModel model(at::kFloat, frozen);
    const data::Dataset data = tiny_dataset();
    config::TrainConfig train;
    train.complete();
    config::OptimizerConfig optimizer_config;
    optimizer_config.complete();
    train::DatasetBatches batches(data, train, 1, 0, {ranks.rank(), 2});
    config::ParallelConfig parallel;
    parallel.zero_stage = stage;
    train::Sharding sharding(model.arena(), ranks, parallel, at::kFloat);
    const auto optimizer = train::make_optimizer(optimizer_config, sharding.space());
    const auto step = train::make_plain_update_step({train, 1, model, batches, sharding, *optimizer});
    const auto count = [&] { return ranks.counts().reduce_scatter_elements + ranks.counts().all_gather_elements; };
    const int64_t before = count();
    step->start(batches.batch(0, 0), 1, 1e-3);
    step->finish();
    if (ranks.rank() == 0) elements = count() - before;
  });
  return elements;
}

TEST(StateBytes, ElementsNotSentAreWhatTheRanksCount) {
  // Tensors whose sizes are multiples of what alignment and parts are multiples of.
  const std::vector<std::string> frozen{"up.first", "up.second", "positions"};
  const FakeModel model(at::kFloat, frozen);
  for (const int64_t stage : {0, 1, 2, 3}) {
    config::ParallelConfig parallel;
    parallel.zero_stage = stage;
    EXPECT_EQ(sent(stage, {}) - sent(stage, frozen), train::elements_not_sent(model.arena().layout(), parallel, 2))
        << "stage " << stage;
  }
  EXPECT_EQ(train::elements_not_sent(model.arena().layout(), {}, 1), 0);
}

}  // namespace
}  // namespace txtsum::tests
