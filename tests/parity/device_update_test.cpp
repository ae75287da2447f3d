// Updates of tiny models on a GPU: rounded up, captured and without waiting, against plain ones one after the other.

#include <gtest/gtest.h>

#include "parity/transformer_fixture.h"
#include "support/test_device.h"
#include "support/tolerances.h"
#include "train/bucket.h"
#include "train/update_step.h"

namespace txtsum::tests {
namespace {

constexpr int kUpdates = 6;

/// The fixture's batches in turn.
class FixtureBatches final : public train::BatchSource {
 public:
  explicit FixtureBatches(const TransformerFixture& fixture) : fixture_(fixture) {}
  int64_t examples() const override { return 12; }
  int64_t updates_in_epoch(int64_t) override { return TransformerFixture::kBatches; }
  bool one_micro_batch() override { return true; }
  train::GlobalBatch batch(int64_t, int64_t index) override {
    const int k = static_cast<int>(index % TransformerFixture::kBatches);
    const train::MicroBatch micro{fixture_.tokens(k, "source"), fixture_.tokens(k, "target")};
    return {{micro}, {}, micro.source.tokens(), micro.labels.tokens()};
  }

 private:
  const TransformerFixture& fixture_;
};

struct Numbers {
  std::vector<double> losses, norms;
  at::Tensor weights;
};

struct Way {
  std::string family = "bart";
  at::ScalarType dtype = at::kFloat;
  double attention_dropout = 0.0;
  bool plain = false;  ///< Update by update, on batches that are rounded up alike.
  int64_t max_graphs = 64;
};

Numbers train(const Way& way) {
  const TransformerFixture fixture(way.family);
  model::LoadRequest request;
  request.folder = fixture.folder();
  request.dtype = way.dtype;
  request.device = test_device();
  request.dropout = 0.1;
  request.attention_dropout = way.attention_dropout;
  const model::LoadedModel loaded = model::load_model(request);
  FixtureBatches batches(fixture);
  config::TrainConfig config;
  config.max_graphs = way.max_graphs;
  config.clip_norm = 1.0;
  config::OptimizerConfig optimizer_config;
  optimizer_config.beta1 = 0.9;
  const auto optimizer = train::make_optimizer(optimizer_config, loaded.model->arena());
  const auto communicator = parallel::make_single_communicator();
  const train::UpdateParts parts{config, 42, *loaded.model, batches, *communicator, *optimizer};
  const auto step = way.plain ? train::make_plain_update_step(parts) : train::make_update_step(parts);
  Numbers numbers;
  for (int update = 1; update <= kUpdates; ++update) {
    train::GlobalBatch batch = batches.batch(0, update - 1);
    if (way.plain) {
      train::MicroBatch& micro = batch.micro_batches.front();
      const model::ModelFacts& facts = loaded.model->facts();
      micro = train::pad_to(micro, train::bucket_of(micro, facts), facts.pad_id);
    }
    step->start(batch, update, 2e-3);
    const train::UpdateResult result = step->finish();
    EXPECT_FALSE(result.left_out) << "update " << update;
    numbers.losses.push_back(result.loss);
    numbers.norms.push_back(result.gradient_norm);
  }
  numbers.weights = optimizer->masters().cpu();
  return numbers;
}

void expect_near(const Numbers& ours, const Numbers& wanted, double tolerance) {
  for (size_t i = 0; i < static_cast<size_t>(kUpdates); ++i) {
    EXPECT_NEAR(ours.losses[i] / wanted.losses[i], 1.0, tolerance) << "update " << i + 1;
    EXPECT_NEAR(ours.norms[i] / wanted.norms[i], 1.0, 100 * tolerance) << "update " << i + 1;
  }
  EXPECT_LT(ours.losses.back(), ours.losses.front()) << "it learns nothing";
}

struct DeviceUpdateStep : testing::Test {
  void SetUp() override {
    if (test_device().is_cpu()) GTEST_SKIP() << "needs a GPU";
    ops::use_deterministic_kernels();
  }
};

TEST_F(DeviceUpdateStep, EqualsPlainUpdatesInFp32) {
  for (const std::string& family : kFamilies) {
    SCOPED_TRACE(family);
    expect_near(train({.family = family}), train({.family = family, .plain = true}), kDeviceLossTolerance);
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

}  // namespace
}  // namespace txtsum::tests
