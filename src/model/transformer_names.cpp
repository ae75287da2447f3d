#include "transformer_names.h"

namespace txtsum::model {
namespace {

std::string with_prefix(const TransformerArchitecture& a, const std::string& name) {
  return a.prefix.empty() ? name : a.prefix + "." + name;
}

std::string stack_name(const TransformerArchitecture& a, Side side) {
  return with_prefix(a, side == kEncoder ? "encoder" : "decoder");
}

AttentionNames bart_attention(const std::string& stem) {
  return {stem, stem + ".q_proj", stem + ".k_proj", stem + ".v_proj", stem + ".out_proj"};
}

AttentionNames led_attention(const std::string& stem) {
  const std::string inner = stem + ".longformer_self_attn";
  return {stem, inner + ".query", inner + ".key", inner + ".value", stem + ".output"};
}

AttentionNames nested_attention(const std::string& stem) {
  return {stem, stem + ".self.query", stem + ".self.key", stem + ".self.value", stem + ".output"};
}

LayerNames bart_layer(const TransformerArchitecture& a, Side side, const std::string& layer) {
  LayerNames names;
  names.attention = bart_attention(layer + ".self_attn");
  if (side == kEncoder && !a.facts.windows.empty()) names.attention = led_attention(layer + ".self_attn");
  if (side == kEncoder && a.nested_attention) names.attention = nested_attention(layer + ".self_attn");
  names.attention_norm = layer + ".self_attn_layer_norm";
  names.cross = bart_attention(layer + ".encoder_attn");
  names.cross_norm = layer + ".encoder_attn_layer_norm";
  names.feed_in = layer + ".fc1";
  names.feed_in_parts = {names.feed_in};
  names.feed_out = layer + ".fc2";
  names.final_norm = layer + ".final_layer_norm";
  return names;
}

AttentionNames t5_attention(const std::string& stem) {
  return {stem, stem + ".q", stem + ".k", stem + ".v", stem + ".o"};
}

LayerNames t5_layer(const TransformerArchitecture& a, Side side, const std::string& block) {
  LayerNames names;
  names.attention = t5_attention(block + ".layer.0.SelfAttention");
  names.attention_norm = block + ".layer.0.layer_norm";
  names.cross = t5_attention(block + ".layer.1.EncDecAttention");
  names.cross_norm = block + ".layer.1.layer_norm";
  const std::string last = block + (side == kEncoder ? ".layer.1" : ".layer.2"), feed = last + ".DenseReluDense";
  names.feed_in = feed + ".wi";
  names.feed_in_parts = {names.feed_in};
  if (a.facts.gated_feed_forward) names.feed_in_parts = {feed + ".wi_0", feed + ".wi_1"};
  names.feed_out = feed + ".wo";
  names.final_norm = last + ".layer_norm";
  return names;
}

}  // namespace

std::string table_name(const TransformerArchitecture& a) { return with_prefix(a, "shared"); }

std::string head_name(const TransformerArchitecture& a) { return a.tied_head ? table_name(a) : kOutputTable; }

StackNames stack_names(const TransformerArchitecture& a, Side side) {
  const std::string stack = stack_name(a, side);
  if (a.naming == Naming::kT5) {
    return {"", stack + ".block.0.layer.0.SelfAttention.relative_attention_bias", "", stack + ".final_layer_norm"};
  }
  return {stack + ".embed_positions", "", stack + ".layernorm_embedding", stack + "." + a.final_norm_name};
}

LayerNames layer_names(const TransformerArchitecture& a, Side side, int64_t layer) {
  if (a.naming == Naming::kT5) return t5_layer(a, side, stack_name(a, side) + ".block." + std::to_string(layer));
  return bart_layer(a, side, stack_name(a, side) + ".layers." + std::to_string(layer));
}

}  // namespace txtsum::model
