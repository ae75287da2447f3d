// What lies in host memory changes no bit on a CPU, where everything does: the same code with plain copies.

#include <gtest/gtest.h>

#include "rank_training.h"
#include "support/temporary_folder.h"
#include "train/sharding.h"
#include "txtsum/config/field.h"
#include "txtsum/core/error.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::tests {
namespace {

using config::Offload;

std::vector<Offload> offloads_of(int64_t stage) {
  std::vector<Offload> offloads{Offload::kOptimizer};
  if (stage == 3) offloads.push_back(Offload::kOptimizerAndParameters);
  return offloads;
}

/// Trains `setting` in each stage without and with offload.
void expect_offload_changes_no_bit(Setting setting) {
  const TemporaryFolder folder;
  for (setting.stage = 0; setting.stage <= 3; ++setting.stage) {
    setting.offload = Offload::kNone;
    const std::string stage = std::to_string(setting.stage);
    const RankResult plain = train(setting, folder.path(stage));
    EXPECT_GT(plain.updates.size(), 0u);
    for (const Offload offload : offloads_of(setting.stage)) {
      SCOPED_TRACE(std::string(c10::toString(setting.dtype)) + ", " + std::to_string(setting.ranks) + " ranks, stage " +
                   stage + ", " + std::string(config::name_of(offload)));
      setting.offload = offload;
      const RankResult offloaded = train(setting, folder.path(stage + std::string(config::name_of(offload))));
      expect_same_bits(plain, offloaded);
      EXPECT_EQ(plain.counts.bytes, offloaded.counts.bytes);
    }
  }
}

TEST(Offload, ChangesNoBitInAnyStage) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (int64_t ranks = 1; ranks <= 3; ++ranks) expect_offload_changes_no_bit({.ranks = ranks, .dtype = dtype});
  }
}

TEST(Offload, ChangesNoBitWithFrozenWeightsRecomputationAndSeveralMicroBatches) {
  for (const auto& [ranks, dtype] : {std::pair(1, at::kBFloat16), {2, at::kFloat}, {3, at::kBFloat16}}) {
    expect_offload_changes_no_bit({.ranks = ranks,
                                   .dtype = dtype,
                                   .micro_batch_tokens = 12,
                                   .frozen = {"positions", "up.first"},
                                   .recompute = true});
  }
}

TEST(Offload, MayDifferAtAResume) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const TemporaryFolder folder;
    const RankResult whole = train({.ranks = 2, .dtype = dtype, .updates = 8}, folder.path("whole"));
    const std::string run = folder.path("run");
    Setting setting{.ranks = 2, .dtype = dtype, .updates = 0};
    RankResult last;
    for (const auto& [stage, offload] : std::vector<std::pair<int64_t, Offload>>{{0, Offload::kOptimizer},
                                                                                 {3, Offload::kOptimizerAndParameters},
                                                                                 {2, Offload::kNone},
                                                                                 {1, Offload::kOptimizer}}) {
      setting.stage = stage;
      setting.offload = offload;
      setting.updates += 2;
      last = train(setting, run);
      setting.resume_from = run + "/step-" + std::to_string(setting.updates);
    }
    EXPECT_TRUE(at::equal(whole.weights, last.weights)) << c10::toString(dtype);
  }
}

/// A sharding of a FakeModel on one rank, with its optimizer.
struct Parts {
  Parts(at::ScalarType dtype, int64_t stage, Offload offload)
      : model(dtype),
        sharding(model.arena(), *communicator, config::ParallelConfig{.zero_stage = stage, .offload = offload}, dtype) {
    config.complete();
    optimizer = train::make_optimizer(config, sharding.space());
  }

  FakeModel model;
  std::unique_ptr<parallel::Communicator> communicator = parallel::make_single_communicator();
  train::Sharding sharding;
  config::OptimizerConfig config;
  std::unique_ptr<train::Optimizer> optimizer;
};

TEST(Offload, Fp32MastersAreAPartOfTheirOwnUntilTheWeightsLieWithThem) {
  const auto own = [](const Parts& parts) {
    return parts.optimizer->masters().const_data_ptr() != parts.sharding.space().working.const_data_ptr();
  };
  EXPECT_FALSE(own(Parts(at::kFloat, 3, Offload::kNone)));
  EXPECT_TRUE(own(Parts(at::kFloat, 0, Offload::kOptimizer)));
  EXPECT_TRUE(own(Parts(at::kFloat, 3, Offload::kOptimizer)));
  EXPECT_FALSE(own(Parts(at::kFloat, 3, Offload::kOptimizerAndParameters)));
  EXPECT_TRUE(own(Parts(at::kBFloat16, 3, Offload::kOptimizerAndParameters)));
}

TEST(Offload, KeepsShardsOfWeightsInStage3Alone) {
  EXPECT_THROW(Parts(at::kFloat, 2, Offload::kOptimizerAndParameters), core::InternalError);
}

}  // namespace
}  // namespace txtsum::tests
