#include "txtsum/train/training_scope.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "fake_model.h"

namespace txtsum::train {
namespace {

model::LossSum train_once(tests::FakeModel& model, ops::BlockScope* scope) {
  model.arena().allocate_gradients(at::kFloat);
  const ops::RaggedTokens source = ops::make_ragged_tokens({3, 4, 5, 6, 7}, {0, 2, 5}, {10, 11});
  const ops::RaggedTokens labels = ops::make_ragged_tokens({8, 9, 2, 12, 2}, {0, 3, 5}, {10, 11});
  model::ForwardContext context;
  context.training = true;
  context.seed = 5;
  context.update = 3;
  context.scope = scope;
  model.body_calls = 0;
  const model::LossSum sum = model.loss(source, labels, 0.1, context);
  if (sum.loss.requires_grad()) torch::autograd::backward({sum.loss});
  return sum;
}

TEST(TrainingScope, GivesTheGradientsOfAPlainRunBitForBit) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    tests::FakeModel model(dtype, {}, 0.3);
    const at::Tensor plain_loss = train_once(model, nullptr).loss;
    const at::Tensor plain = model.arena().gradients().clone();
    EXPECT_EQ(model.body_calls, 1);
    TrainingScope scope(model.arena().layout(), {.recompute = true});
    const at::Tensor loss = train_once(model, &scope).loss;
    EXPECT_EQ(model.body_calls, 2) << "forward, and once more in backward";
    EXPECT_TRUE(at::equal(loss, plain_loss));
    EXPECT_TRUE(at::equal(model.arena().gradients(), plain));
    EXPECT_GT(plain.abs().max().item<double>(), 0.0);
  }
}

TEST(TrainingScope, TrainsABlockWhoseInputsNeedNoGradient) {
  tests::FakeModel model(at::kFloat, {"table", "positions"});
  train_once(model, nullptr);
  const at::Tensor plain = model.arena().gradients().clone();
  TrainingScope scope(model.arena().layout(), {.recompute = true});
  train_once(model, &scope);
  EXPECT_EQ(model.body_calls, 2);
  EXPECT_TRUE(at::equal(model.arena().gradients(), plain));
  EXPECT_GT(plain.abs().max().item<double>(), 0.0);
}

TEST(TrainingScope, BuildsNoGraphForAFrozenPrefix) {
  tests::FakeModel model(at::kFloat, {"table", "positions", "up.first", "up.second", "down", "bias"});
  TrainingScope scope(model.arena().layout(), {.recompute = true});
  EXPECT_FALSE(train_once(model, &scope).loss.requires_grad());
  EXPECT_EQ(model.body_calls, 1);
}

TEST(TrainingScope, RunsPlainlyWithoutGradients) {
  tests::FakeModel model;
  TrainingScope scope(model.arena().layout(), {.recompute = true});
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(train_once(model, &scope).loss.requires_grad());
  EXPECT_EQ(model.body_calls, 1);
}

TEST(TrainingScope, TakesABodyThatHandsItsInputThrough) {
  tests::FakeModel model;
  TrainingScope scope(model.arena().layout(), {.recompute = true});
  const at::Tensor input = at::ones({2, 3}).set_requires_grad(true);
  const at::Tensor output = scope.run(1, {input}, [](const std::vector<at::Tensor>& inputs) { return inputs[0]; });
  torch::autograd::backward({(output * 2).sum()});
  EXPECT_TRUE(at::equal(input.grad(), at::full({2, 3}, 2.0)));
}

}  // namespace
}  // namespace txtsum::train
