#include <gtest/gtest.h>

#include <algorithm>

#include "parity/transformer_fixture.h"
#include "support/tolerances.h"
#include "txtsum/train/optimizer.h"

namespace txtsum::tests {
namespace {

class TransformerTraining : public testing::TestWithParam<std::string> {};

TEST_P(TransformerTraining, TenAdamWLossesEqualTransformers) {
  const TransformerFixture fixture(GetParam());
  const model::LoadedModel loaded = fixture.load();
  model::Seq2SeqModel& model = *loaded.model;
  model.arena().allocate_gradients(at::kFloat);
  config::OptimizerConfig config;
  config.learning_rate = 2e-3;
  config.weight_decay = 0.1;
  config.beta1 = 0.9;
  config.beta2 = 0.98;
  const auto optimizer = train::make_optimizer(config, model.arena());
  const at::Tensor wanted = fixture.tensor("adamw_losses");
  for (int step = 0; step < 10; ++step) {
    const int k = step % TransformerFixture::kBatches;
    const at::Tensor gradients = model.arena().gradients();
    gradients.zero_();
    const model::LossSum sum = model.loss(fixture.tokens(k, "source"), fixture.tokens(k, "target"), 0.0, {});
    const double tokens = static_cast<double>(sum.tokens);
    EXPECT_LT(relative_error(sum.loss / tokens, wanted[step]), kTenLossesTolerance) << "step " << step;
    sum.loss.backward();
    const double norm = gradients.to(at::kDouble).norm().item<double>() / tokens;
    // clip_grad_norm_ adds 1e-6 to the norm.
    train::StepScalars scalars;
    scalars.update = step + 1;
    scalars.learning_rate = 2e-3;
    scalars.gradient_factor = std::min(1.0, 1.0 / (norm + 1e-6)) / tokens;
    optimizer->step(scalars);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TransformerTraining, testing::ValuesIn(kFamilies),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace txtsum::tests
