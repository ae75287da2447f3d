// The ladder: each rung is compared with transformers in float64 before the next one is worth looking at.

#include <gtest/gtest.h>

#include "parity/transformer_fixture.h"
#include "support/temporary_folder.h"
#include "support/tolerances.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::tests {
namespace {

class TransformerParity : public testing::TestWithParam<std::string> {
 protected:
  TransformerFixture fixture_{GetParam()};
  model::LoadedModel loaded_ = fixture_.load();
  model::Seq2SeqModel& model_ = *loaded_.model;
};

TEST_P(TransformerParity, EncoderOutputEqualsTransformers) {
  const at::NoGradGuard no_grad;
  for (int k = 0; k < TransformerFixture::kBatches; ++k) {
    const at::Tensor encoded = model_.encode(fixture_.tokens(k, "source"), {});
    EXPECT_LT(relative_error(encoded, fixture_.batch_tensor(k, "encoded")), kEncodedTolerance) << "batch " << k;
  }
}

TEST_P(TransformerParity, LogitsEqualTransformers) {
  const at::NoGradGuard no_grad;
  for (int k = 0; k < TransformerFixture::kBatches; ++k) {
    const ops::RaggedTokens source = fixture_.tokens(k, "source");
    const ops::RaggedTokens target = model::shift_right(fixture_.tokens(k, "target"), model_.facts().decoder_start_id);
    const at::Tensor logits = model_.logits(model_.decode(target, model_.encode(source, {}), source, {}));
    EXPECT_LT(relative_error(logits, fixture_.batch_tensor(k, "logits")), kLogitsTolerance) << "batch " << k;
  }
}

TEST_P(TransformerParity, LossWithAndWithoutSmoothingEqualsTransformers) {
  const at::NoGradGuard no_grad;
  for (int k = 0; k < TransformerFixture::kBatches; ++k) {
    for (const auto& [name, smoothing] : {std::pair<std::string, double>{"loss", 0.0}, {"smoothed_loss", 0.1}}) {
      const model::LossSum sum = model_.loss(fixture_.tokens(k, "source"), fixture_.tokens(k, "target"), smoothing, {});
      EXPECT_LT(relative_error(sum.loss / static_cast<double>(sum.tokens), fixture_.batch_tensor(k, name)),
                kLossTolerance)
          << name << " of batch " << k;
      EXPECT_LT(relative_error(sum.nll / static_cast<double>(sum.tokens), fixture_.batch_tensor(k, "loss")),
                kLossTolerance);
    }
  }
}

TEST_P(TransformerParity, EveryGradientEqualsTransformers) {
  for (const auto& [name, smoothing] :
       {std::pair<std::string, double>{"gradient.", 0.0}, {"smoothed_gradient.", 0.1}}) {
    model_.arena().allocate_gradients(at::kFloat);
    const model::LossSum sum = model_.loss(fixture_.tokens(0, "source"), fixture_.tokens(0, "target"), smoothing, {});
    sum.loss.backward();
    for (const model::ArenaEntry& entry : model_.arena().layout().entries()) {
      if (!entry.in_trainable_range) continue;  // a fixed table of positions
      const at::Tensor gradient =
          model::Arena::entry_of(model_.arena().gradients(), entry) / static_cast<double>(sum.tokens);
      const at::Tensor wanted = fixture_.tensor(name + entry.name);
      if (wanted.abs().max().item<double>() <
          1e-7) {  // a key's bias moves no probability; LED's reference has fp32 noise
        EXPECT_LT(gradient.abs().max().item<double>(), 1e-6) << entry.name;
        continue;
      }
      EXPECT_LT(relative_error(gradient, wanted), kGradientTolerance) << name << entry.name;
    }
  }
}

TEST_P(TransformerParity, OrderWithinABatchChangesNothing) {
  const at::NoGradGuard no_grad;
  const ops::RaggedTokens source = fixture_.tokens(0, "source");
  const at::Tensor together = model_.encode(source, {});
  for (int64_t b = 0; b < source.sequences(); ++b) {
    const int64_t begin = source.offsets[static_cast<size_t>(b)], end = source.offsets[static_cast<size_t>(b) + 1];
    const int64_t* ids = source.ids_N.const_data_ptr<int64_t>();
    const ops::RaggedTokens alone = ops::make_ragged_tokens({ids + begin, ids + end}, {0, end - begin}, {b});
    EXPECT_LT(relative_error(model_.encode(alone, {}), together.narrow(0, begin, end - begin)), kEncodedTolerance);
  }
}

TEST_P(TransformerParity, CachedDecodingEqualsFullDecoding) {
  const at::NoGradGuard no_grad;
  const ops::RaggedTokens source = fixture_.tokens(0, "source");
  const ops::RaggedTokens target = model::shift_right(fixture_.tokens(0, "target"), model_.facts().decoder_start_id);
  const at::Tensor encoded = model_.encode(source, {});
  const at::Tensor full = model_.logits(model_.decode(target, encoded, source, {}));
  const auto session = model_.start_decoding({4, 2, source.longest, target.longest});
  session->admit({0, 1, 2, 3}, encoded, source);
  for (int64_t position = 0; position < target.longest; ++position) {
    std::vector<int64_t> rows, ids, places;
    for (int64_t b = 0; b < 4; ++b) {
      const int64_t place = target.offsets[static_cast<size_t>(b)] + position;
      if (place >= target.offsets[static_cast<size_t>(b) + 1]) continue;
      rows.push_back(2 * b + 1);
      ids.push_back(target.ids_N[place].item<int64_t>());
      places.push_back(place);
    }
    const at::Tensor logits = session->step(rows, ids);
    EXPECT_LT(relative_error(logits, full.index_select(0, at::tensor(places))), kLogitsTolerance)
        << "position " << position;
  }
}

TEST_P(TransformerParity, AFileWithoutTheFixedTableOfPositionsLoadsAlike) {
  for (const model::ArenaEntry& entry : model_.arena().layout().entries()) {
    if (!entry.name.ends_with("embed_positions.weight") || entry.in_trainable_range) continue;
    EXPECT_EQ(GetParam(), "pegasus");
    model::LoadRequest request;
    request.folder = fixture_.folder();
    request.random_weights = true;
    const model::LoadedModel computed = model::load_model(request);
    const model::Arena& arena = computed.model->arena();
    EXPECT_LT(relative_error(arena.entry_values(*arena.layout().find(entry.name)), model_.arena().entry_values(entry)),
              1e-6);
  }
}

/// The encoder's result with the first token global and those with `ids`.
at::Tensor led_encoded(const TransformerFixture& fixture, int batch,
                       const std::optional<model::GlobalTokenChoice>& choice) {
  const at::NoGradGuard no_grad;
  model::LoadRequest request;
  request.folder = fixture.folder();
  request.global_tokens = choice;
  return model::load_model(request).model->encode(fixture.tokens(batch, "source"), {});
}

TEST(LedGlobalTokens, NamedOnesEqualTransformersAndAreKeptInTheConfig) {
  const TransformerFixture fixture("led");
  const model::GlobalTokenChoice named{true, {43, 67, 93}};  // NAMED_GLOBALS of the fixture's script
  for (int k = 0; k < TransformerFixture::kBatches; ++k) {
    EXPECT_LT(relative_error(led_encoded(fixture, k, named), fixture.batch_tensor(k, "encoded_with_named_globals")),
              kEncodedTolerance)
        << "batch " << k;
  }
  EXPECT_GT(relative_error(led_encoded(fixture, 0, named), fixture.batch_tensor(0, "encoded")), 1e-3);
  EXPECT_GT(
      relative_error(led_encoded(fixture, 0, model::GlobalTokenChoice{false, {}}), fixture.batch_tensor(0, "encoded")),
      1e-3);
  model::LoadRequest request;
  request.folder = fixture.folder();
  request.global_tokens = named;
  const core::Json saved = model::config_to_save(model::load_model(request), at::kFloat);
  const auto again = model::GlobalTokenChoice::of(saved, "config.json");
  EXPECT_TRUE(again.first);
  EXPECT_EQ(again.ids, named.ids);
}

TEST(LedGlobalTokens, AreRefusedWhereNothingIsWindowed) {
  EXPECT_THROW(led_encoded(TransformerFixture("bart"), 0, model::GlobalTokenChoice{}), core::UserError);
  EXPECT_THROW(model::GlobalTokenChoice::of({{"txtsum_global_tokens", {"last"}}}, "config.json"), core::DataError);
}

model::LoadedModel bigbird_with(const model::RandomBlockChoice& choice) {
  model::LoadRequest request;
  request.folder = TransformerFixture("bigbird_pegasus").folder();
  request.random_blocks = choice;
  return model::load_model(request);
}

TEST(BigBirdRandomBlocks, OfASeedRepeatAndAreKeptInTheConfig) {
  const at::NoGradGuard no_grad;
  const TransformerFixture fixture("bigbird_pegasus");
  const ops::RaggedTokens source = fixture.tokens(0, "source");  // 7, 37, 12 and 53 tokens
  const model::LoadedModel seeded = bigbird_with({41});
  const at::Tensor encoded = seeded.model->encode(source, {});
  EXPECT_TRUE(at::equal(encoded, bigbird_with({41}).model->encode(source, {})));
  model::ForwardContext training;
  training.training = true;
  training.seed = 5;
  EXPECT_TRUE(at::equal(encoded, seeded.model->encode(source, training)));  // nothing drops in this model
  const at::Tensor as_transformers = fixture.batch_tensor(0, "encoded");
  const auto error = [&](const at::Tensor& ours, int64_t begin, int64_t length) {
    return relative_error(ours.narrow(0, begin, length), as_transformers.narrow(0, begin, length));
  };
  EXPECT_LT(error(encoded, 0, 7), kEncodedTolerance);
  EXPECT_LT(error(encoded, 44, 12), kEncodedTolerance);
  EXPECT_GT(error(encoded, 7, 37), 1e-3);
  EXPECT_GT(error(encoded, 56, 53), 1e-3);
  EXPECT_GT(relative_error(bigbird_with({42}).model->encode(source, {}), encoded), 1e-3);

  const core::Json saved = model::config_to_save(seeded, at::kFloat);
  EXPECT_EQ(model::RandomBlockChoice::of(saved, "config.json")->seed, 41u);
  const core::Json of_transformers = model::config_to_save(bigbird_with({}), at::kFloat);
  ASSERT_TRUE(model::RandomBlockChoice::of(of_transformers, "config.json"));
  EXPECT_FALSE(model::RandomBlockChoice::of(of_transformers, "config.json")->seed);
  EXPECT_FALSE(model::RandomBlockChoice::of(core::Json::object(), "config.json"));
}

TEST(BigBirdRandomBlocks, AreRefusedWhereThereAreNone) {
  model::LoadRequest request;
  request.folder = TransformerFixture("bart").folder();
  request.random_blocks.emplace();
  EXPECT_THROW(model::load_model(request), core::UserError);
  EXPECT_THROW(model::RandomBlockChoice::of({{"txtsum_random_blocks", "none"}}, "config.json"), core::DataError);
}

/// A BigBird-Pegasus of random weights whose config.json has `changes`.
model::LoadedModel bigbird_from(const core::Json& changes = core::Json::object()) {
  const TemporaryFolder folder;
  core::Json config = core::read_json_file(TransformerFixture("bigbird_pegasus").folder() + "/config.json");
  config.update(changes);
  core::write_file(folder.path("config.json"), config.dump());
  model::LoadRequest request;
  request.folder = folder.path();
  request.random_weights = true;
  return model::load_model(request);
}

TEST(BigBirdConfig, WhatDoesNotFitIsRefusedByName) {
  EXPECT_NO_THROW(bigbird_from());
  const core::Json wrong = {{{"attention_type", "sparse"}},   {{"block_size", 0}},          {{"num_random_blocks", 16}},
                            {{"num_random_blocks", -1}},      {{"attention_dropout", 0.1}}, {{"use_bias", "no"}},
                            {{"txtsum_random_blocks", "all"}}};
  for (const core::Json& changes : wrong) {
    const std::string key = changes.begin().key();
    try {
      bigbird_from(changes);
      ADD_FAILURE() << changes;
    } catch (const core::DataError& error) {
      EXPECT_NE(std::string(error.what()).find("key '" + key + "'"), std::string::npos) << error.what();
    }
  }
}

TEST(BigBirdConfig, OriginalFullHasNoBlocksAndBiasesAreThereWhereTheConfigSaysSo) {
  const model::LoadedModel full =
      bigbird_from({{"attention_type", "original_full"}, {"attention_dropout", 0.1}, {"use_bias", true}});
  EXPECT_FALSE(full.model->facts().block_sparse());
  const model::ArenaLayout& layout = full.model->arena().layout();
  for (const char* name :
       {"model.encoder.layers.1.self_attn.self.query.bias", "model.encoder.layers.0.self_attn.output.bias",
        "model.decoder.layers.2.encoder_attn.k_proj.bias"}) {
    EXPECT_NE(layout.find(name), nullptr) << name;
    EXPECT_EQ(bigbird_from().model->arena().layout().find(name), nullptr) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TransformerParity, testing::ValuesIn(kFamilies),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace txtsum::tests
