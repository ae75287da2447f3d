// Updates of tiny models on a GPU: rounded up, captured and without waiting, against plain ones one after the other.

#include "parity/device_update_fixture.h"

namespace txtsum::tests {
namespace {

TEST_F(DeviceUpdateStep, EqualsPlainUpdatesInFp32) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    const Numbers found = train({.family = family});
    expect_near(found, train({.family = family, .plain = true}), kDeviceLossTolerance);
    expect_learns(found);
  }
}

/// Attention goes sequence by sequence here, with masks that are the same for batches rounded up alike.
TEST_F(DeviceUpdateStep, EqualsPlainUpdatesWithDroppedProbabilities) {
  expect_near(train({.attention_dropout = 0.2}), train({.attention_dropout = 0.2, .plain = true}),
              kDeviceLossTolerance);
}

TEST_F(DeviceUpdateStep, GraphsGiveTheBitsOfEagerRuns) {
  for (const std::string& family : kFamilies) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      if (dtype == at::kHalf && family.starts_with("t5")) continue;  // refused
      SCOPED_TRACE(family + " in " + c10::toString(dtype));
      const Numbers graphs = train({.family = family, .dtype = dtype});
      const Numbers eager = train({.family = family, .dtype = dtype, .max_graphs = 0});
      EXPECT_EQ(graphs.losses, eager.losses);
      EXPECT_EQ(graphs.norms, eager.norms);
      EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
    }
  }
}

/// A micro-batch that is alone writes gradients, others add to them: their graphs are not the same.
TEST_F(DeviceUpdateStep, UpdatesOfOneAndOfSeveralMicroBatchesOfAShapeTakeTurns) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    const Numbers graphs = train({.family = family, .doubles = true});
    const Numbers eager = train({.family = family, .max_graphs = 0, .doubles = true});
    EXPECT_EQ(graphs.losses, eager.losses);
    EXPECT_EQ(graphs.norms, eager.norms);
    EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
    expect_near(graphs, train({.family = family, .plain = true, .doubles = true}), kDeviceLossTolerance);
  }
}

TEST_F(DeviceUpdateStep, OutputsOfAFrozenEncoderAreReadInGraphsToo) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    const Numbers runs = train({.family = family, .plain = true, .frozen_encoder = true});
    const Numbers reads = train({.family = family, .frozen_encoder = true, .reads_encoder = true});
    expect_near(reads, runs, kDeviceLossTolerance);
    const Numbers eager = train({.family = family, .max_graphs = 0, .frozen_encoder = true, .reads_encoder = true});
    EXPECT_EQ(reads.losses, eager.losses);
    EXPECT_TRUE(at::equal(reads.weights, eager.weights));
    const Numbers narrow =
        train({.family = family, .dtype = at::kBFloat16, .frozen_encoder = true, .reads_encoder = true});
    EXPECT_NEAR(narrow.losses.back() / reads.losses.back(), 1.0, 3e-2);
  }
}

TEST_F(DeviceUpdateStep, NarrowTypesFollowFp32) {
  for (const auto& [family, dtype, tolerance] : {std::tuple("bart", at::kBFloat16, 3e-2),
                                                 {"bart", at::kHalf, 4e-3},
                                                 {"pegasus", at::kBFloat16, 3e-2},
                                                 {"t5_gated", at::kBFloat16, 3e-2}}) {
    SCOPED_TRACE(std::string(family) + " in " + c10::toString(dtype));
    const Numbers wide = train({.family = family}), narrow = train({.family = family, .dtype = dtype});
    for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
      EXPECT_NEAR(narrow.losses[i] / wide.losses[i], 1.0, tolerance) << dtype << ", update " << i + 1;
    }
  }
}

/// In fp32 attention goes block by block; in bf16 and fp16 it is a kernel, and the update a graph.
TEST_F(DeviceUpdateStep, BlockSparseAttentionIsTheSameInGraphsAndFollowsFp32) {
  const LongBigBird folder;
  for (const std::optional<uint64_t>& seed : {std::optional<uint64_t>(), std::optional<uint64_t>(4)}) {
    const Numbers wide = train({.long_bigbird = folder.path(), .block_seed = seed});
    for (const auto& [dtype, tolerance] : {std::pair(at::kBFloat16, 3e-2), {at::kHalf, 4e-3}}) {
      SCOPED_TRACE(std::string(c10::toString(dtype)) + (seed ? ", seeded" : ", as transformers evaluates"));
      const Numbers graphs = train({.dtype = dtype, .long_bigbird = folder.path(), .block_seed = seed});
      const Numbers eager = train({.dtype = dtype, .max_graphs = 0, .long_bigbird = folder.path(), .block_seed = seed});
      EXPECT_EQ(graphs.losses, eager.losses);
      EXPECT_EQ(graphs.norms, eager.norms);
      EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
      for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
        EXPECT_NEAR(graphs.losses[i] / wide.losses[i], 1.0, tolerance) << "update " << i + 1;
      }
    }
  }
}

/// The masks of probabilities are drawn from the GPU's generator.
TEST_F(DeviceUpdateStep, GraphsOfAnySharingDropProbabilitiesAsEagerRunsDo) {
  for (const config::ParallelConfig& parallel :
       {config::ParallelConfig{}, {.zero_stage = 2}, {.offload = config::Offload::kOptimizer}}) {
    SCOPED_TRACE("stage " + std::to_string(parallel.zero_stage));
    Way way{.dtype = at::kBFloat16, .attention_dropout = 0.2, .parallel = parallel, .clip_norm = 0.0};
    const Numbers graphs = train(way);
    way.max_graphs = 0;
    const Numbers eager = train(way);
    EXPECT_EQ(graphs.losses, eager.losses);
    EXPECT_TRUE(at::equal(graphs.weights, eager.weights));
  }
}

}  // namespace
}  // namespace txtsum::tests
