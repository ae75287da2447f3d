// Updates that never wait for the host, on a GPU alone.

#include "txtsum/ops/device_update.h"

#include <cmath>
#include <limits>

#include "op_fixture.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kNumel = 400000;
constexpr double kTokens = 8.0;

struct DeviceUpdates : OpTest {
  void SetUp() override {
    if (test_device().is_cpu()) GTEST_SKIP() << "needs a GPU";
    tensors.masters = at::randn({kNumel}, on_test_device());
    tensors.gradients = at::randn({kNumel}, on_test_device(at::kHalf));
    tensors.first_moment = at::zeros({kNumel}, on_test_device());
    tensors.second_moment = at::zeros({kNumel}, on_test_device());
    tensors.working = tensors.masters.to(at::kHalf);
    loss_sums = at::tensor({16.0, 24.0}, at::kDouble).to(test_device());
  }

  static ops::AdamWScalars scalars(int64_t update) {
    ops::AdamWScalars numbers;
    numbers.learning_rate = 1e-2;
    numbers.update = update;
    numbers.gradient_factor = 1.0 / kTokens;
    return numbers;
  }

  ops::DeviceUpdateNumbers run(ops::DeviceUpdate& updates, int64_t update, double clip_norm = 0.0) {
    updates.begin(1.0 / kTokens);
    updates.start(tensors, scalars(update), loss_sums, clip_norm, 1e-6);
    return updates.finish();
  }

  std::vector<ops::UpdateSpan> spans{{0, kNumel, true, false}};
  ops::AdamWTensors tensors;
  at::Tensor loss_sums;
};

TEST_F(DeviceUpdates, WithoutALossScaleGradientsAreSumsOverTheTokens) {
  ops::DeviceUpdate updates(spans, /*scales_loss=*/false);
  EXPECT_FALSE(updates.loss_factor().defined());
  EXPECT_FALSE(updates.loss_scale().has_value());
  const ops::DeviceUpdateNumbers numbers = run(updates, 1);
  EXPECT_EQ(numbers.loss, 2.0);
  EXPECT_EQ(numbers.nll, 3.0);
  EXPECT_EQ(numbers.loss_scale, 1.0);
  EXPECT_NEAR(numbers.gradient_norm * kTokens / tensors.gradients.to(at::kDouble).norm().item<double>(), 1.0, 1e-12);
  EXPECT_FALSE(numbers.bad_element.has_value());
}

TEST_F(DeviceUpdates, AScaledUpdateEqualsAPlainOneOfTheMeansGradient) {
  ops::AdamWTensors plain = tensors;
  plain.masters = tensors.masters.clone();
  plain.first_moment = tensors.first_moment.clone();
  plain.second_moment = tensors.second_moment.clone();
  plain.working = tensors.working.clone();
  const double norm = tensors.gradients.to(at::kDouble).norm().item<double>() / 65536.0;
  ops::AdamWScalars wanted = scalars(1);
  wanted.gradient_factor = 0.005 / (norm + 1e-6) / 65536.0;
  ops::adamw_update(plain, spans, wanted);
  ops::DeviceUpdate updates(spans, /*scales_loss=*/true);
  const ops::DeviceUpdateNumbers numbers = run(updates, 1, 0.005);
  EXPECT_FLOAT_EQ(updates.loss_factor().item<float>(), 65536.0f / 8.0f);
  EXPECT_NEAR(numbers.gradient_norm / norm, 1.0, 1e-12);
  EXPECT_EQ(numbers.loss, 2.0);
  EXPECT_LT(error_of(tensors.masters, plain.masters.to(at::kDouble)), 1e-6);
  EXPECT_LT(error_of(tensors.second_moment, plain.second_moment.to(at::kDouble)), 1e-5);
}

TEST_F(DeviceUpdates, AnOverflowIsLeftOutHalvesTheScaleAndIsNoStep) {
  const at::Tensor masters = tensors.masters.clone(), gradients = tensors.gradients.clone();
  ops::DeviceUpdate updates(spans, /*scales_loss=*/true);
  tensors.gradients[5] = std::numeric_limits<float>::infinity();
  tensors.gradients[3 * 65536 + 7] = std::numeric_limits<float>::quiet_NaN();
  const ops::DeviceUpdateNumbers numbers = run(updates, 1);
  EXPECT_FALSE(std::isfinite(numbers.gradient_norm));
  EXPECT_EQ(numbers.loss_scale, 65536.0);
  EXPECT_EQ(numbers.next_loss_scale, 32768.0);
  ASSERT_TRUE(numbers.bad_element.has_value());
  EXPECT_EQ(*numbers.bad_element, 3 * 65536);
  EXPECT_TRUE(at::equal(tensors.masters, masters));
  EXPECT_EQ(tensors.first_moment.abs().max().item<double>(), 0.0);

  tensors.gradients.copy_(gradients);
  const ops::DeviceUpdateNumbers second = run(updates, 2);
  EXPECT_EQ(second.loss_scale, 32768.0);
  // AdamW's first step moves each weight by the learning rate (and its decay), whatever the gradient.
  const at::Tensor moved = (masters * (1 - 1e-2 * scalars(2).weight_decay) - tensors.masters).abs();
  EXPECT_NEAR(moved.median().item<double>(), 1e-2, 1e-4);
  EXPECT_TRUE(at::equal(tensors.working, tensors.masters.to(at::kHalf)));
  const ops::LossScaleState state = *updates.loss_scale();
  EXPECT_EQ(state.good_updates, 1);
  EXPECT_EQ(state.left_out, 1);
}

TEST_F(DeviceUpdates, TheScaleDoublesAfterTwoThousandGoodUpdates) {
  ops::DeviceUpdate updates(spans, /*scales_loss=*/true);
  updates.restore({1024.0, 1998, 3});
  EXPECT_EQ(run(updates, 10).next_loss_scale, 1024.0);
  EXPECT_EQ(run(updates, 11).next_loss_scale, 2048.0);
  const ops::LossScaleState state = *updates.loss_scale();
  EXPECT_EQ(state.scale, 2048.0);
  EXPECT_EQ(state.good_updates, 0);
  EXPECT_EQ(state.left_out, 3);
}

TEST_F(DeviceUpdates, MeasureForAnUpdateThatIsMadeElsewhere) {
  ops::DeviceUpdate updates(spans, /*scales_loss=*/true);
  updates.restore({1024.0, 0, 3});
  const auto measure = [&](int64_t update, double clip_norm) {
    updates.begin(1.0 / kTokens);
    updates.measure(tensors.gradients, scalars(update), loss_sums, clip_norm, 1e-6);
    const std::optional<ops::AdamWScalars> found = updates.measured(scalars(update));
    updates.resume();
    return found;
  };
  const std::optional<ops::AdamWScalars> plain = measure(10, 0.0);
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->update, 7);
  EXPECT_EQ(plain->gradient_factor, 1.0 / 1024.0);
  EXPECT_EQ(plain->learning_rate, scalars(10).learning_rate);
  const double norm = updates.finish().gradient_norm;
  const std::optional<ops::AdamWScalars> clipped = measure(11, norm / 4);
  ASSERT_TRUE(clipped.has_value());
  EXPECT_NEAR(clipped->gradient_factor * 4 * 1024.0, 1.0, 1e-5);
  updates.finish();
  tensors.gradients[5] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(measure(12, 0.0).has_value());
  EXPECT_EQ(updates.finish().next_loss_scale, 512.0);
  EXPECT_EQ(updates.loss_scale()->left_out, 4);
}

}  // namespace
}  // namespace txtsum::tests
