#include <cmath>
#include <map>

#include "config_reader.h"
#include "transformer_architecture.h"

namespace txtsum::model {
namespace {

struct FeedForward {
  ops::Activation activation = ops::Activation::kRelu;
  bool gated = false;
};

FeedForward feed_forward_of(const ConfigReader& reader) {
  // transformers reads gated-gelu as a gate of gelu_new, which is what the weights were trained with.
  static const std::map<std::string, FeedForward> kKnown{{"relu", {ops::Activation::kRelu, false}},
                                                         {"gated-gelu", {ops::Activation::kGeluTanh, true}},
                                                         {"gated-silu", {ops::Activation::kSilu, true}},
                                                         {"gated-relu", {ops::Activation::kRelu, true}}};
  const auto found = kKnown.find(reader.text("feed_forward_proj", "relu"));
  if (found == kKnown.end()) reader.fail("feed_forward_proj", "one of relu, gated-gelu, gated-silu, gated-relu");
  return found->second;
}

void read_relative_positions(const ConfigReader& reader, TransformerArchitecture& a) {
  a.relative_buckets = reader.integer("relative_attention_num_buckets", 32);
  a.relative_max_distance = reader.integer("relative_attention_max_distance", 128);
  // The encoder halves the buckets for the two directions, and both stacks halve theirs for near and far distances.
  if (a.relative_buckets < 4 || a.relative_buckets % 2 != 0 || a.relative_buckets > ConfigReader::kLargestSize) {
    reader.fail("relative_attention_num_buckets",
                "an even number from 4 to " + std::to_string(ConfigReader::kLargestSize));
  }
  if (a.relative_max_distance <= a.relative_buckets / 2) {
    throw core::DataError(reader.path() + ": key 'relative_attention_max_distance': wanted more than half of the " +
                          std::to_string(a.relative_buckets) + " buckets, found " +
                          std::to_string(a.relative_max_distance));
  }
  a.facts.relative_bias = true;
  a.facts.max_source_tokens = a.facts.max_target_tokens = kNoPositionLimit;
}

/// As transformers' _init_weights draws them.
InitStds init_of(const ConfigReader& reader, const TransformerArchitecture& a) {
  const double factor = reader.number("initializer_factor", 1.0);
  const auto over_root = [&](int64_t width) { return factor / std::sqrt(static_cast<double>(width)); };
  InitStds stds;
  stds.tables = stds.norm_scale = factor;
  stds.query = over_root(a.facts.width * a.facts.head_width);
  stds.key_value = stds.feed_in = stds.relative_bias = over_root(a.facts.width);
  stds.attention_out = over_root(a.facts.attention_width);
  stds.feed_out = over_root(a.facts.encoder_feed_forward);
  return stds;
}

}  // namespace

TransformerArchitecture read_t5(const core::Json& config, const std::string& path) {
  const ConfigReader reader(config, path);
  TransformerArchitecture a;
  a.facts.family = "t5";
  a.class_name = "T5ForConditionalGeneration";
  a.naming = Naming::kT5;
  a.prefix = "";
  a.facts.vocabulary = reader.size("vocab_size");
  a.facts.width = reader.size("d_model");
  a.facts.head_width = reader.size("d_kv");
  a.encoder_heads = a.decoder_heads = reader.size("num_heads");
  a.facts.attention_width = a.encoder_heads * a.facts.head_width;
  if (a.facts.attention_width > ConfigReader::kLargestSize) {
    reader.fail("d_kv",
                "at most " + std::to_string(ConfigReader::kLargestSize / a.encoder_heads) + " with this num_heads");
  }
  a.facts.encoder_layers = reader.layers("num_layers");
  a.facts.decoder_layers =
      reader.has("num_decoder_layers") ? reader.layers("num_decoder_layers") : a.facts.encoder_layers;
  a.facts.encoder_feed_forward = a.facts.decoder_feed_forward = reader.size("d_ff");
  const FeedForward feed_forward = feed_forward_of(reader);
  a.activation = feed_forward.activation;
  a.facts.gated_feed_forward = feed_forward.gated;
  read_relative_positions(reader, a);
  a.facts.pad_id = a.facts.bos_id = reader.integer("pad_token_id", 0);
  a.facts.eos_id = reader.integer("eos_token_id", 1);
  a.facts.decoder_start_id = reader.integer("decoder_start_token_id", a.facts.pad_id);
  a.dropout = a.attention_dropout = a.activation_dropout = reader.probability("dropout_rate", 0.1);
  a.one_dropout = true;
  a.norm_epsilon = reader.number("layer_norm_epsilon", 1e-6);
  a.pre_norm = a.final_norm = a.final_dropout = true;
  a.embedding_norm = a.biases = a.attention_biases = a.scaled_attention = a.still_padding = a.output_bias = false;
  a.overflows_fp16 = a.may_untie_head = true;
  // transformers 5 keeps in a flag of its own what tie_word_embeddings used to decide: whether the result is scaled.
  a.tied_head = reader.flag("tie_word_embeddings", true);
  if (reader.flag("scale_decoder_outputs", a.tied_head)) {
    a.head_factor = 1.0 / std::sqrt(static_cast<double>(a.facts.width));
  }
  a.init = init_of(reader, a);
  return a;
}

}  // namespace txtsum::model
