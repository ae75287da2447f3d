#include <cmath>

#include "config_reader.h"
#include "transformer_architecture.h"

namespace txtsum::model {
namespace {

/// Ids that a family's config.json need not name.
struct DefaultIds {
  int64_t pad = 1, bos = 0, eos = 2;
};

ops::Activation activation_of(const ConfigReader& reader, const std::string& otherwise) {
  try {
    return ops::activation_named(reader.text("activation_function", otherwise));
  } catch (const core::DataError& error) {
    throw core::DataError(reader.path() + ": " + error.what());
  }
}

/// What the configs of all these families have alike.
TransformerArchitecture read_common(const ConfigReader& reader, const std::string& family, const DefaultIds& ids) {
  TransformerArchitecture a;
  a.facts.family = family;
  a.facts.vocabulary = reader.size("vocab_size");
  a.facts.width = a.facts.attention_width = reader.size("d_model");
  a.facts.encoder_layers = reader.layers("encoder_layers");
  a.facts.decoder_layers = reader.layers("decoder_layers");
  a.facts.encoder_feed_forward = reader.size("encoder_ffn_dim");
  a.facts.decoder_feed_forward = reader.size("decoder_ffn_dim");
  if (family == "led") {
    a.facts.max_source_tokens = reader.size("max_encoder_position_embeddings");
    a.facts.max_target_tokens = reader.size("max_decoder_position_embeddings");
  } else {
    a.facts.max_source_tokens = a.facts.max_target_tokens = reader.size("max_position_embeddings");
  }
  a.facts.pad_id = reader.integer("pad_token_id", ids.pad);
  a.facts.bos_id = reader.integer("bos_token_id", ids.bos);
  a.facts.eos_id = reader.integer("eos_token_id", ids.eos);
  a.encoder_heads = reader.size("encoder_attention_heads");
  a.decoder_heads = reader.size("decoder_attention_heads");
  for (const char* key : {"encoder_attention_heads", "decoder_attention_heads"}) {
    if (a.facts.width % reader.size(key) != 0)
      reader.fail(key, "a divisor of d_model " + std::to_string(a.facts.width));
  }
  a.facts.head_width = a.facts.width / a.encoder_heads;
  a.dropout = reader.probability("dropout", 0.1);
  a.attention_dropout = reader.probability("attention_dropout", 0.0);
  a.activation_dropout = reader.probability("activation_dropout", 0.0);
  a.encoder_layerdrop = reader.probability("encoder_layerdrop", 0.0);
  a.decoder_layerdrop = reader.probability("decoder_layerdrop", 0.0);
  a.init = InitStds::all(reader.number("init_std", 0.02));
  a.embedding_scale = reader.flag("scale_embedding", false) ? std::sqrt(static_cast<double>(a.facts.width)) : 1.0;
  a.activation = activation_of(reader, "gelu");
  if (!reader.flag("tie_word_embeddings", true)) {
    reader.fail("tie_word_embeddings", "true (a separate output table is not supported in family " + family + ")");
  }
  return a;
}

/// LED's attention_window: one size for all layers or one a layer, even, half of it on each side.
std::vector<int64_t> windows_of(const ConfigReader& reader, int64_t layers) {
  const auto half = [&](const core::Json& size) {
    if (!size.is_number_integer() || size <= 0 || size > ConfigReader::kLargestSize || size.get<int64_t>() % 2 != 0) {
      reader.fail("attention_window", "even integers from 2 to " + std::to_string(ConfigReader::kLargestSize));
    }
    return size.get<int64_t>() / 2;
  };
  // transformers' own default is 512.
  if (!reader.has("attention_window")) return std::vector<int64_t>(static_cast<size_t>(layers), 256);
  const core::Json& sizes = reader.value("attention_window");
  if (!sizes.is_array()) return std::vector<int64_t>(static_cast<size_t>(layers), half(sizes));
  if (static_cast<int64_t>(sizes.size()) != layers) {
    reader.fail("attention_window",
                "one integer, or one for each of the " + std::to_string(layers) + " encoder layers");
  }
  std::vector<int64_t> windows;
  for (const core::Json& size : sizes) windows.push_back(half(size));
  return windows;
}

/// The rule of BigBird's attention; the random blocks are chosen later.
ops::BlockRule block_rule_of(const ConfigReader& reader, const TransformerArchitecture& a) {
  ops::BlockRule rule;
  rule.block = reader.has("block_size") ? reader.size("block_size") : 64;
  rule.random = reader.integer("num_random_blocks", 3);
  rule.heads = a.encoder_heads;
  if (rule.random < 0 || rule.random >= ops::kMaxTimes) {
    reader.fail("num_random_blocks", "an integer from 0 to " + std::to_string(ops::kMaxTimes - 1));
  }
  if (rule.blocks_of(a.facts.max_source_tokens) >= ops::kMaxBlocks) {
    reader.fail("block_size", "max_position_embeddings in fewer than " + std::to_string(ops::kMaxBlocks) + " blocks");
  }
  return rule;
}

}  // namespace

TransformerArchitecture read_bart(const core::Json& config, const std::string& path) {
  const ConfigReader reader(config, path);
  TransformerArchitecture a = read_common(reader, "bart", {});
  a.class_name = "BartForConditionalGeneration";
  a.facts.decoder_start_id = reader.integer("decoder_start_token_id", a.facts.eos_id);
  a.position_offset = 2;
  return a;
}

TransformerArchitecture read_mbart(const core::Json& config, const std::string& path) {
  const ConfigReader reader(config, path);
  TransformerArchitecture a = read_common(reader, "mbart", {});
  a.class_name = "MBartForConditionalGeneration";
  // The decoder starts with the target's language, which transformers takes from the labels' last token.
  if (!reader.has("decoder_start_token_id")) {
    throw core::DataError(path +
                          ": key 'decoder_start_token_id' is missing: set it to the id of the language that "
                          "summaries are written in (mBART's decoder starts with it)");
  }
  a.facts.decoder_start_id = reader.integer("decoder_start_token_id");
  a.pre_norm = a.final_norm = true;
  a.position_offset = 2;
  return a;
}

TransformerArchitecture read_pegasus(const core::Json& config, const std::string& path) {
  const ConfigReader reader(config, path);
  TransformerArchitecture a = read_common(reader, "pegasus", {.pad = 0, .bos = 0, .eos = 1});
  a.class_name = "PegasusForConditionalGeneration";
  a.facts.decoder_start_id = reader.integer("decoder_start_token_id", a.facts.pad_id);
  a.pre_norm = a.final_norm = a.sinusoidal = true;
  a.embedding_norm = false;
  return a;
}

TransformerArchitecture read_bigbird_pegasus(const core::Json& config, const std::string& path) {
  const ConfigReader reader(config, path);
  TransformerArchitecture a = read_common(reader, "bigbird_pegasus", {.pad = 0, .bos = 2, .eos = 1});
  a.class_name = "BigBirdPegasusForConditionalGeneration";
  a.facts.decoder_start_id = reader.integer("decoder_start_token_id", 2);
  // What transformers takes where the config says nothing is not what it takes for the others.
  if (!reader.has("scale_embedding")) a.embedding_scale = std::sqrt(static_cast<double>(a.facts.width));
  a.activation = activation_of(reader, "gelu_new");
  a.nested_attention = true;
  a.attention_biases = reader.flag("use_bias", false);
  a.pre_norm = a.final_norm = true;
  a.embedding_norm = false;
  a.final_norm_name = "layernorm_embedding";
  const std::string type = reader.text("attention_type", "block_sparse");
  if (type == "block_sparse") {
    a.facts.blocks = block_rule_of(reader, a);
  } else if (type != "original_full") {
    reader.fail("attention_type", "block_sparse or original_full");
  }
  return a;
}

TransformerArchitecture read_led(const core::Json& config, const std::string& path) {
  const ConfigReader reader(config, path);
  TransformerArchitecture a = read_common(reader, "led", {});
  a.class_name = "LEDForConditionalGeneration";
  a.prefix = "led";
  a.facts.decoder_start_id = reader.integer("decoder_start_token_id", a.facts.eos_id);
  a.facts.windows = windows_of(reader, a.facts.encoder_layers);
  a.global_tokens = GlobalTokenChoice::of(config, path);
  return a;
}

}  // namespace txtsum::model
