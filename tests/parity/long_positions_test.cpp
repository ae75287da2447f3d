// Models made from a BART for longer documents: on what the BART can read they compute what it computes.

#include "txtsum/model/long_positions.h"

#include <gtest/gtest.h>

#include "parity/transformer_fixture.h"
#include "support/temporary_folder.h"
#include "support/tolerances.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/io/safetensors_writer.h"

namespace txtsum::tests {
namespace {

model::LoadedModel loaded_again(const model::ConvertedModel& converted, const std::string& folder) {
  std::vector<io::NamedTensor> tensors;
  for (const auto& [name, tensor] : converted.tensors) tensors.push_back({name, tensor});
  io::save_sharded(folder, tensors, 1'000'000'000);
  core::write_file(folder + "/config.json", core::to_pretty_text(converted.config));
  model::LoadRequest request;
  request.folder = folder;
  return model::load_model(request);
}

class LongPositions : public testing::Test {
 protected:
  LongPositions() {
    // An LED cannot scale embeddings: the same model without.
    model::LoadRequest request;
    request.folder = fixture_.folder();
    core::Json config = core::read_json_file(fixture_.folder() + "/config.json");
    config["scale_embedding"] = false;
    core::write_file(plain_.path() + "/config.json", core::to_pretty_text(config));
    std::vector<io::NamedTensor> tensors;
    const model::LoadedModel scaled = fixture_.load();
    for (const auto& [name, tensor] : tensors_of(scaled)) tensors.push_back({name, tensor});
    io::save_sharded(plain_.path(), tensors, 1'000'000'000);
    request.folder = plain_.path();
    bart_ = model::load_model(request);
  }

  void expect_same_logits(const model::Seq2SeqModel& other) {
    const at::NoGradGuard no_grad;
    for (int k = 0; k < TransformerFixture::kBatches; ++k) {
      const ops::RaggedTokens source = fixture_.tokens(k, "source");
      const ops::RaggedTokens target =
          model::shift_right(fixture_.tokens(k, "target"), bart_.model->facts().decoder_start_id);
      const auto logits = [&](const model::Seq2SeqModel& model) {
        return model.logits(model.decode(target, model.encode(source, {}), source, {}));
      };
      EXPECT_LT(relative_error(logits(other), logits(*bart_.model)), kLogitsTolerance) << "batch " << k;
    }
  }

  TransformerFixture fixture_{"bart"};
  TemporaryFolder plain_, target_;
  model::LoadedModel bart_;
};

TEST_F(LongPositions, AnLedWithAWideWindowComputesWhatItsBartDoes) {
  const model::LoadedModel led = loaded_again(model::led_from_bart(bart_, {100, 32}), target_.path());
  EXPECT_EQ(led.model->facts().family, "led");
  EXPECT_EQ(led.model->facts().max_source_tokens, 100);
  EXPECT_EQ(led.model->facts().max_target_tokens, bart_.model->facts().max_target_tokens);
  expect_same_logits(*led.model);
}

TEST_F(LongPositions, AnLedsPositionsAreItsBartsAgainAndAgain) {
  const model::LoadedModel led = loaded_again(model::led_from_bart(bart_, {100, 32}), target_.path());
  const auto positions = [](const model::LoadedModel& loaded, const std::string& name) {
    return loaded.model->arena().entry_values(*loaded.model->arena().layout().find(name));
  };
  const at::Tensor ours = positions(led, "led.encoder.embed_positions.weight");
  const at::Tensor theirs = positions(bart_, "model.encoder.embed_positions.weight").narrow(0, 2, 24);
  EXPECT_TRUE(at::equal(ours.narrow(0, 24, 24), theirs));
  EXPECT_TRUE(at::equal(ours.narrow(0, 96, 4), theirs.narrow(0, 0, 4)));
}

TEST_F(LongPositions, ALongerBartComputesWhatTheShorterOneDoes) {
  const model::LoadedModel longer = loaded_again(model::longer_bart(bart_, {60, 0}), target_.path());
  EXPECT_EQ(longer.model->facts().max_source_tokens, 60);
  expect_same_logits(*longer.model);
}

TEST_F(LongPositions, SizesThatDoNotFitAreRefused) {
  EXPECT_THROW(model::led_from_bart(bart_, {23, 32}), core::UserError);
  EXPECT_THROW(model::led_from_bart(bart_, {100, 31}), core::UserError);
  EXPECT_THROW(model::led_from_bart(fixture_.load(), {100, 32}), core::UserError);  // scales its embeddings
  const model::LoadedModel pegasus = TransformerFixture("pegasus").load();
  EXPECT_THROW(model::longer_bart(pegasus, {100, 32}), core::UserError);
}

/// Counted one by one, over the mask that band attention has.
TEST(SourcePairs, AreThoseOfTheMask) {
  model::ModelFacts facts;
  EXPECT_EQ(model::source_pairs(facts, 7), 49.0);
  facts.windows = {2, 5};
  for (int64_t tokens = 1; tokens < 16; ++tokens) {
    int64_t pairs = 0;
    for (const int64_t window : facts.windows) {
      for (int64_t query = 0; query < tokens; ++query) {
        for (int64_t key = 0; key < tokens; ++key) pairs += std::abs(query - key) <= window || key == 0;
      }
      pairs += tokens;  // the global query, over projections of its own
    }
    EXPECT_EQ(model::source_pairs(facts, tokens), static_cast<double>(pairs) / 2) << tokens;
  }
}

}  // namespace
}  // namespace txtsum::tests
