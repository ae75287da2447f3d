// The ladder: each rung is compared with transformers in float64 before the next one is worth looking at.

#include <gtest/gtest.h>

#include "parity/transformer_fixture.h"
#include "support/tolerances.h"
#include "txtsum/core/error.h"

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

INSTANTIATE_TEST_SUITE_P(Families, TransformerParity, testing::ValuesIn(kFamilies),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace txtsum::tests
