#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "parity/transformer_fixture.h"
#include "support/tolerances.h"
#include "txtsum/train/optimizer.h"
#include "txtsum/train/training_scope.h"

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
  const train::UpdateSpace space = train::whole_space(model.arena());
  const auto optimizer = train::make_optimizer(config, space);
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

struct Pass {
  bool recompute = false;
  bool clear = false;  ///< Gradients' memory holds anything before the pass.
};

/// Gradients of a batch with dropout, some parameters frozen.
at::Tensor gradients_of(const std::string& folder, const std::vector<std::string>& frozen,
                        const TransformerFixture& fixture, const Pass& pass) {
  model::LoadRequest request;
  request.folder = folder;
  request.freeze = frozen;
  request.dropout = 0.2;
  const model::LoadedModel loaded = model::load_model(request);
  model::Arena& arena = loaded.model->arena();
  arena.allocate_gradients(at::kFloat);
  if (pass.clear) arena.gradients().fill_(std::numeric_limits<float>::quiet_NaN());
  for (int64_t block = 0; pass.clear && block < arena.layout().block_count(); ++block) arena.clear_gradients(block);
  train::TrainingScope scope(arena.layout(), {.recompute = true});
  model::ForwardContext context;
  context.training = true;
  context.seed = 7;
  context.update = 3;
  if (pass.recompute) context.scope = &scope;
  loaded.model->loss(fixture.tokens(0, "source"), fixture.tokens(0, "target"), 0.1, context).loss.backward();
  for (int64_t block = 0; pass.clear && block < arena.layout().block_count(); ++block) arena.settle_gradients(block);
  return arena.gradients();
}

TEST_P(TransformerTraining, RecomputedBlocksAndMemoryThatWasNotClearedGiveTheSameGradients) {
  const TransformerFixture fixture(GetParam());
  const model::LoadedModel whole = fixture.load();
  std::vector<std::vector<std::string>> choices{{}, {"embeddings"}, {"encoder"}, {"*shared.weight"}};
  if (whole.model->facts().relative_bias) {
    choices.push_back({"encoder.layers.0-9", "*shared.weight"});  // the encoder's biases still learn
    choices.push_back({"*relative_attention_bias.weight"});
  }
  for (const std::vector<std::string>& frozen : choices) {
    SCOPED_TRACE(frozen.empty() ? "nothing frozen" : "frozen " + frozen.front());
    const at::Tensor plain = gradients_of(fixture.folder(), frozen, fixture, {});
    EXPECT_TRUE(at::equal(plain, gradients_of(fixture.folder(), frozen, fixture, {.recompute = true})));
    EXPECT_TRUE(at::equal(plain, gradients_of(fixture.folder(), frozen, fixture, {.clear = true})));
    EXPECT_TRUE(at::equal(plain, gradients_of(fixture.folder(), frozen, fixture, {.recompute = true, .clear = true})));
    EXPECT_GT(plain.abs().max().item<double>(), 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TransformerTraining, testing::ValuesIn(kFamilies),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace txtsum::tests
