// Tiny models of each family with a frozen encoder: reading its outputs against running it.

#include "txtsum/train/encoder_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parity/transformer_fixture.h"
#include "support/tolerances.h"
#include "txtsum/core/error.h"

namespace txtsum::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class EncoderCacheOfFamily : public testing::TestWithParam<std::string> {
 protected:
  model::LoadedModel load(std::vector<std::string> freeze, bool encoder_dropout = false) const {
    model::LoadRequest request;
    request.folder = fixture_.folder();
    request.freeze = std::move(freeze);
    request.dropout = 0.2;
    request.encoder_dropout = encoder_dropout;
    return model::load_model(request);
  }
  ops::RaggedTokens source(int batch) const { return fixture_.tokens(batch, "source"); }

  /// The sources of all batches as one.
  ops::RaggedTokens all_sources() const {
    std::vector<int64_t> ids, offsets{0}, examples;
    for (int batch = 0; batch < TransformerFixture::kBatches; ++batch) {
      const ops::RaggedTokens tokens = source(batch);
      const int64_t* from = tokens.ids_N.const_data_ptr<int64_t>();
      for (int64_t b = 0; b < tokens.sequences(); ++b) {
        const int64_t begin = tokens.offsets[static_cast<size_t>(b)], end = tokens.offsets[static_cast<size_t>(b) + 1];
        ids.insert(ids.end(), from + begin, from + end);
        offsets.push_back(static_cast<int64_t>(ids.size()));
        examples.push_back(static_cast<int64_t>(examples.size()));
      }
    }
    return ops::make_ragged_tokens(ids, offsets, examples);
  }

  struct Result {
    at::Tensor loss, gradients;
  };
  /// Of one batch, with dropout in the decoder. `encoded_ND` undefined: the encoder runs.
  Result train(const model::LoadedModel& loaded, int batch, const at::Tensor& encoded_ND) const {
    model::Arena& arena = loaded.model->arena();
    if (!arena.gradients().defined()) arena.allocate_gradients(at::kFloat);
    arena.gradients().zero_();
    model::ForwardContext context;
    context.training = true;
    context.seed = 7;
    context.update = 3;
    context.encoded_ND = encoded_ND;
    const model::LossSum sum = loaded.model->loss(source(batch), fixture_.tokens(batch, "target"), 0.1, context);
    sum.loss.backward();
    return {sum.loss.detach(), arena.gradients().clone()};
  }

  TransformerFixture fixture_{GetParam()};
};

TEST_P(EncoderCacheOfFamily, OutputsOfTheSameBatchGiveTheBitsOfRunningTheEncoder) {
  const model::LoadedModel loaded = load({"encoder"});
  EXPECT_NO_THROW(train::check_encoder_is_fixed(*loaded.model));
  for (int batch = 0; batch < TransformerFixture::kBatches; ++batch) {
    const at::NoGradGuard no_grad;
    const at::Tensor encoded_ND = loaded.model->encode(source(batch), {});
    const at::AutoGradMode gradients_on(true);
    const Result runs = train(loaded, batch, {}), reads = train(loaded, batch, encoded_ND);
    EXPECT_TRUE(at::equal(reads.loss, runs.loss));
    EXPECT_TRUE(at::equal(reads.gradients, runs.gradients));
    EXPECT_GT(reads.gradients.abs().max().item<double>(), 0.0);
  }
}

TEST_P(EncoderCacheOfFamily, OutputsOfAnotherBatchDifferByRounding) {
  const model::LoadedModel loaded = load({"encoder"});
  at::Tensor all_ND;
  {
    const at::NoGradGuard no_grad;
    all_ND = loaded.model->encode(all_sources(), {});
  }
  int64_t begin = 0;
  for (int batch = 0; batch < TransformerFixture::kBatches; ++batch) {
    const int64_t tokens = source(batch).tokens();
    const Result runs = train(loaded, batch, {}), reads = train(loaded, batch, all_ND.narrow(0, begin, tokens));
    EXPECT_LT(relative_error(reads.loss, runs.loss), kLossTolerance);
    EXPECT_LT(relative_error(reads.gradients, runs.gradients), kGradientTolerance);
    begin += tokens;
  }
}

TEST_P(EncoderCacheOfFamily, WithoutEncoderDropoutTrainingEncodesAsEvaluationDoes) {
  const at::NoGradGuard no_grad;
  model::ForwardContext training;
  training.training = true;
  training.seed = 7;
  training.update = 3;
  const model::LoadedModel still = load({"encoder"}), drops = load({"encoder"}, /*encoder_dropout=*/true);
  const at::Tensor wanted = still.model->encode(source(0), {});
  EXPECT_TRUE(at::equal(still.model->encode(source(0), training), wanted));
  EXPECT_FALSE(at::equal(drops.model->encode(source(0), training), wanted));
  EXPECT_FALSE(still.model->facts().encoder_drops);
  EXPECT_THAT([&] { train::check_encoder_is_fixed(*drops.model); },
              ThrowsMessage<core::UserError>(HasSubstr("model.encoder_dropout=false")));
  // The decoder keeps its own.
  const ops::RaggedTokens tokens = model::shift_right(fixture_.tokens(0, "target"), 2);
  EXPECT_FALSE(at::equal(still.model->decode(tokens, wanted, source(0), training),
                         still.model->decode(tokens, wanted, source(0), {})));
}

TEST_P(EncoderCacheOfFamily, WhateverOfItLearnsIsRefusedByName) {
  const auto expect_refused = [&](const std::vector<std::string>& freeze, const std::string& name) {
    const model::LoadedModel loaded = load(freeze);
    EXPECT_THAT([&] { train::check_encoder_is_fixed(*loaded.model); }, ThrowsMessage<core::UserError>(HasSubstr(name)))
        << name;
  };
  const bool is_t5 = GetParam().starts_with("t5");
  expect_refused({}, "shared.weight");
  expect_refused({"*encoder.*"}, "shared.weight");  // the decoder's use of the table would train it
  expect_refused({"embeddings"}, is_t5 ? "encoder.block.0" : "encoder.l");
  expect_refused({"embeddings", "encoder.layers.0-9"}, is_t5 ? "encoder.final_layer_norm" : "encoder.layer");
  if (is_t5) expect_refused({"*shared.weight", "encoder.layers.0-9", "*final_layer_norm*"}, "relative_attention_bias");
}

TEST_P(EncoderCacheOfFamily, TheDecodersAndTheOutputsOwnTablesMayLearn) {
  // All that the encoder reads, by name.
  const model::LoadedModel open = load({});
  const model::LoadedModel loaded = load(open.model->encoder_parameters());
  EXPECT_NO_THROW(train::check_encoder_is_fixed(*loaded.model));
  for (const model::ArenaEntry& entry : loaded.model->arena().layout().entries()) {
    const bool fixed_table = entry.name.find("decoder.embed_positions") != std::string::npos;
    const bool is_decoders = entry.name.find("decoder.") != std::string::npos || entry.name == "lm_head.weight";
    if (is_decoders && !fixed_table) {
      EXPECT_FALSE(entry.frozen) << entry.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, EncoderCacheOfFamily, testing::ValuesIn(kFamilies),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace txtsum::tests
