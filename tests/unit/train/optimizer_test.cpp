#include "txtsum/train/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "fake_model.h"
#include "txtsum/io/safetensors.h"

namespace txtsum::train {
namespace {

/// Three parameters with the starts and gradients of scripts/reference/make_optimizer_fixtures.py.
class OptimizerParity : public ::testing::Test {
 protected:
  OptimizerParity()
      : file_(TXTSUM_SOURCE_DIR "/tests/fixtures/train/optimizers.safetensors"), arena_(layout(), at::kFloat) {
    for (const model::ArenaEntry& entry : arena_.layout().entries()) {
      arena_.entry_values(entry).copy_(file_.tensor("start/" + entry.name));
    }
    arena_.allocate_gradients(at::kFloat);
  }

  static model::ArenaLayout layout() {
    return model::ArenaLayout({{"matrix", {5, 7}, 0, true, "", false, false},
                               {"vector", {11}, 0, false, "", false, false},
                               {"cube", {2, 3, 4}, 1, true, "", false, false}});
  }

  /// Largest difference to the fixture `label` over ten steps, relative to the parameter's largest value. Gradients
  /// come four times too large, and gradient_factor takes it back.
  double largest_error(config::OptimizerConfig config, const std::string& label) {
    config.complete();
    const UpdateSpace space = whole_space(arena_);
    const auto optimizer = make_optimizer(config, space);
    double error = 0.0;
    for (int64_t step = 0; step < 10; ++step) {
      for (const model::ArenaEntry& entry : arena_.layout().entries()) {
        model::Arena::entry_of(arena_.gradients(), entry).copy_(file_.tensor("gradients/" + entry.name)[step] * 4.0);
      }
      optimizer->step({step + 1, config.learning_rate.value_or(0.0), 0.25});
      for (const model::ArenaEntry& entry : arena_.layout().entries()) {
        const at::Tensor wanted = file_.tensor(label + "/" + entry.name)[step].to(at::kDouble);
        const at::Tensor difference = arena_.entry_values(entry).to(at::kDouble) - wanted;
        error = std::max(error, (difference.abs().max() / wanted.abs().max()).item<double>());
      }
    }
    return error;
  }

  io::SafetensorsFile file_;
  model::Arena arena_;
};

TEST_F(OptimizerParity, AdamWEqualsTorch) {
  config::OptimizerConfig config;
  config.learning_rate = 1e-2;
  EXPECT_LT(largest_error(config, "adamw_plain"), 1e-6);  // measured 2e-7
}

TEST_F(OptimizerParity, AdamWWithDecayEqualsTorch) {
  config::OptimizerConfig config;
  config.learning_rate = 3e-2;
  config.beta1 = 0.8;
  config.beta2 = 0.95;
  config.epsilon = 1e-6;
  config.weight_decay = 0.1;
  EXPECT_LT(largest_error(config, "adamw_decayed"), 1e-6);
}

config::OptimizerConfig adafactor() {
  config::OptimizerConfig config;
  config.name = config::OptimizerName::kAdafactor;
  return config;
}

TEST_F(OptimizerParity, AdafactorEqualsTransformers) {
  config::OptimizerConfig config = adafactor();
  config.learning_rate = 1e-2;
  EXPECT_LT(largest_error(config, "adafactor_fixed"), 1e-6);
}

TEST_F(OptimizerParity, AdafactorWithScaleEqualsTransformers) {
  config::OptimizerConfig config = adafactor();
  config.learning_rate = 1e-2;
  config.scale_parameter = true;
  config.weight_decay = 0.05;
  EXPECT_LT(largest_error(config, "adafactor_scaled"), 1e-6);
}

TEST_F(OptimizerParity, AdafactorWithRelativeStepEqualsTransformers) {
  config::OptimizerConfig config = adafactor();
  config.scale_parameter = true;
  config.relative_step = true;
  EXPECT_LT(largest_error(config, "adafactor_relative"), 1e-6);
}

TEST_F(OptimizerParity, AdafactorWithWarmupInitEqualsTransformers) {
  config::OptimizerConfig config = adafactor();
  config.scale_parameter = true;
  config.relative_step = true;
  config.warmup_init = true;
  EXPECT_LT(largest_error(config, "adafactor_warmup"), 1e-6);
}

TEST_F(OptimizerParity, AdafactorWithFirstMomentEqualsTransformers) {
  config::OptimizerConfig config = adafactor();
  config.learning_rate = 2e-2;
  config.beta1 = 0.9;
  config.clip_threshold = 0.5;
  config.decay_rate = -0.6;
  config.factor_epsilon = 1e-20;
  config.scale_epsilon = 1e-2;
  config.weight_decay = 0.01;
  EXPECT_LT(largest_error(config, "adafactor_momentum"), 1e-6);
}

class EveryOptimizer : public ::testing::TestWithParam<config::OptimizerName> {
 protected:
  config::OptimizerConfig config() const {
    config::OptimizerConfig config;
    config.name = GetParam();
    config.learning_rate = 1e-2;
    config.complete();
    return config;
  }
};

INSTANTIATE_TEST_SUITE_P(Names, EveryOptimizer,
                         ::testing::Values(config::OptimizerName::kAdamW, config::OptimizerName::kAdafactor));

TEST_P(EveryOptimizer, KeepsBf16WeightsTheRoundedMasters) {
  tests::FakeModel model(at::kBFloat16);
  model::Arena& arena = model.arena();
  arena.allocate_gradients(at::kBFloat16);
  at::manual_seed(1);
  const at::Tensor source = at::randn({arena.layout().trainable_numel()});
  const UpdateSpace space = whole_space(arena);
  const auto optimizer = make_optimizer(config(), space, source);
  EXPECT_TRUE(at::equal(optimizer->masters(), source));
  arena.gradients().normal_();
  optimizer->step({1, 1e-2, 1.0});
  EXPECT_FALSE(at::equal(optimizer->masters(), source));
  for (const model::ArenaEntry& entry : arena.layout().entries()) {
    EXPECT_TRUE(
        at::equal(arena.entry_values(entry), model::Arena::entry_of(optimizer->masters(), entry).to(at::kBFloat16)));
  }
}

TEST_P(EveryOptimizer, LeavesFrozenMembersOfATrainableGroup) {
  tests::FakeModel model(at::kFloat, {"up.first"});
  model::Arena& arena = model.arena();
  arena.allocate_gradients(at::kFloat);
  arena.gradients().fill_(1.0);
  const at::Tensor frozen = arena.entry_values(*arena.layout().find("up.first")).clone();
  const at::Tensor learning = arena.entry_values(*arena.layout().find("up.second")).clone();
  const UpdateSpace space = whole_space(arena);
  const auto optimizer = make_optimizer(config(), space);
  optimizer->step({1, 1e-2, 1.0});
  EXPECT_TRUE(at::equal(arena.entry_values(*arena.layout().find("up.first")), frozen));
  EXPECT_FALSE(at::equal(arena.entry_values(*arena.layout().find("up.second")), learning));
  for (const StatePart& part : optimizer->state()) EXPECT_EQ(part.name.find("up.first"), std::string::npos);
}

}  // namespace
}  // namespace txtsum::train
