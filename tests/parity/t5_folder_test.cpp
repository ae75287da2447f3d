// What T5's folders say in several ways, and what is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "parity/transformer_fixture.h"
#include "support/tolerances.h"
#include "txtsum/core/error.h"
#include "txtsum/io/safetensors_writer.h"
#include "txtsum/model/freezing.h"

namespace txtsum::tests {
namespace {

using Tensors = std::vector<std::pair<std::string, at::Tensor>>;

const core::Json kUnchanged = core::Json::object();

class T5Folder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("txtsum-t5-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// The family's fixture with `config` laid over its config.json and its weights changed by `change`.
  template <typename Change>
  model::LoadRequest changed(const std::string& family, const core::Json& config, const Change& change) {
    const TransformerFixture fixture(family);
    core::Json words = core::read_json_file(fixture.folder() + "/config.json");
    words.update(config);
    std::ofstream(folder_ / "config.json") << words.dump();
    Tensors tensors = tensors_of(fixture.load());
    change(tensors);
    std::vector<io::NamedTensor> named;
    for (const auto& [name, tensor] : tensors) named.push_back({name, tensor});
    io::save_safetensors((folder_ / "model.safetensors").string(), named);
    model::LoadRequest request;
    request.folder = folder_.string();
    return request;
  }
  model::LoadRequest changed(const std::string& family, const core::Json& config) {
    return changed(family, config, [](Tensors&) {});
  }

  static at::Tensor logits(const model::LoadedModel& loaded, const std::string& family) {
    const at::NoGradGuard no_grad;
    const TransformerFixture fixture(family);
    const model::Seq2SeqModel& model = *loaded.model;
    const ops::RaggedTokens source = fixture.tokens(0, "source");
    const ops::RaggedTokens target = model::shift_right(fixture.tokens(0, "target"), model.facts().decoder_start_id);
    return model.logits(model.decode(target, model.encode(source, {}), source, {}));
  }
  static at::Tensor wanted(const std::string& family) { return TransformerFixture(family).batch_tensor(0, "logits"); }

  std::filesystem::path folder_;
};

bool has(const model::LoadedModel& loaded, const std::string& name) {
  return loaded.model->arena().layout().find(name) != nullptr;
}

at::Tensor& tensor_of(Tensors& tensors, const std::string& name) {
  for (auto& [found, tensor] : tensors) {
    if (found == name) return tensor;
  }
  throw core::DataError(name);
}

TEST_F(T5Folder, AConfigAsTransformers5SavesItLoadsAlike) {
  const auto loaded =
      model::load_model(changed("t5_gated", {{"tie_word_embeddings", true}, {"scale_decoder_outputs", false}}));
  EXPECT_TRUE(has(loaded, "lm_head.weight"));
  EXPECT_LT(relative_error(logits(loaded, "t5_gated"), wanted("t5_gated")), kLogitsTolerance);
}

TEST_F(T5Folder, TheTiedTableUnderAllItsNamesIsOneTable) {
  const auto loaded = model::load_model(changed("t5", kUnchanged, [](Tensors& tensors) {
    const at::Tensor table = tensor_of(tensors, "shared.weight");
    for (const char* name : {"lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}) {
      tensors.emplace_back(name, table.clone());
    }
    tensors.emplace_back("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", at::ones({8, 4}));
  }));
  EXPECT_FALSE(has(loaded, "lm_head.weight"));
  EXPECT_LT(relative_error(logits(loaded, "t5"), wanted("t5")), kLogitsTolerance);
}

/// transformers 5 ties what the files have once.
TEST_F(T5Folder, WithoutAnOutputTableTheTokensTableIsTaken) {
  const auto request = changed("t5_gated", kUnchanged, [](Tensors& tensors) {
    std::erase_if(tensors, [](const auto& tensor) { return tensor.first == "lm_head.weight"; });
  });
  EXPECT_FALSE(has(model::load_model(request), "lm_head.weight"));
}

TEST_F(T5Folder, WhatIsNotThereIsRefusedByName) {
  const auto message = [](const model::LoadRequest& request) -> std::string {
    try {
      model::load_model(request);
    } catch (const core::DataError& error) {
      return error.what();
    } catch (const core::UserError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message(changed("t5", {{"feed_forward_proj", "gelu"}})), testing::HasSubstr("feed_forward_proj"));
  EXPECT_THAT(message(changed("t5", {{"relative_attention_num_buckets", 7}})),
              testing::HasSubstr("relative_attention_num_buckets"));
  EXPECT_THAT(message(changed("t5", {{"relative_attention_max_distance", 4}})),
              testing::HasSubstr("relative_attention_max_distance"));
  model::LoadRequest half = changed("t5", kUnchanged);
  half.dtype = at::kHalf;
  EXPECT_THAT(message(half), testing::HasSubstr("train.precision=bf16"));
  EXPECT_THAT(message(changed("t5", kUnchanged, [](Tensors& tensors) { tensors.emplace_back("x", at::ones({1})); })),
              testing::HasSubstr("does not belong"));
}

TEST_F(T5Folder, OneDropoutRateIsThatOfProbabilitiesToo) {
  model::LoadRequest request = changed("t5", {{"dropout_rate", 0.1}});
  EXPECT_TRUE(model::load_model(request).model->facts().drops_probabilities);
  request.dropout = 0.0;
  EXPECT_FALSE(model::load_model(request).model->facts().drops_probabilities);
  request.attention_dropout = 0.2;
  EXPECT_TRUE(model::load_model(request).model->facts().drops_probabilities);
}

TEST_F(T5Folder, RandomWeightsAreDrawnAsTransformersDrawsThem) {
  model::LoadRequest request =
      changed("t5_gated", {{"d_model", 64}, {"d_ff", 400}, {"vocab_size", 500}, {"initializer_factor", 2.0}});
  request.random_weights = true;
  const model::LoadedModel loaded = model::load_model(request);
  const auto std_of = [&](const std::string& name) {
    const model::Arena& arena = loaded.model->arena();
    return arena.entry_values(*arena.layout().find(name)).std().item<double>();
  };
  const auto near = [](double std) { return testing::DoubleNear(std, 0.12 * std); };
  EXPECT_THAT(std_of("shared.weight"), near(2.0));
  EXPECT_THAT(std_of("lm_head.weight"), near(2.0));
  const std::string layer = "encoder.block.1.layer.";
  EXPECT_THAT(std_of(layer + "0.SelfAttention.q.weight"), near(2.0 / std::sqrt(64.0 * 16)));
  EXPECT_THAT(std_of(layer + "0.SelfAttention.k.weight"), near(2.0 / std::sqrt(64.0)));
  EXPECT_THAT(std_of(layer + "0.SelfAttention.o.weight"), near(2.0 / std::sqrt(48.0)));
  EXPECT_THAT(std_of(layer + "1.DenseReluDense.wi_1.weight"), near(2.0 / std::sqrt(64.0)));
  EXPECT_THAT(std_of(layer + "1.DenseReluDense.wo.weight"), near(2.0 / std::sqrt(400.0)));
  const model::Arena& arena = loaded.model->arena();
  EXPECT_TRUE(arena.entry_values(*arena.layout().find("decoder.final_layer_norm.weight")).eq(2.0).all().item<bool>());
}

TEST_F(T5Folder, LayersAreFrozenByTheirNumbers) {
  model::LoadRequest request = changed("t5", kUnchanged);
  request.freeze = {"encoder.layers.0-1"};
  const model::LoadedModel loaded = model::load_model(request);
  for (const model::ArenaEntry& entry : loaded.model->arena().layout().entries()) {
    const bool in_them = (entry.name.starts_with("encoder.block.0.") || entry.name.starts_with("encoder.block.1.")) &&
                         entry.name.find("relative_attention_bias") == std::string::npos;
    EXPECT_EQ(entry.frozen, in_them) << entry.name;
  }
  const auto place = model::layer_of("decoder.block.11.layer.1.EncDecAttention.q.weight");
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->side, "decoder");
  EXPECT_EQ(place->layer, 11);
  EXPECT_FALSE(model::layer_of("encoder.final_layer_norm.weight").has_value());
}

}  // namespace
}  // namespace txtsum::tests
