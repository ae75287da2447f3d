#include "transformer_model.h"

namespace txtsum::model {
namespace {

/// Collects the specs of one block after the other.
class Builder {
 public:
  void start_block() { ++block_; }

  void table(const std::string& name, int64_t rows, int64_t width, bool vocabulary) {
    add(name + ".weight", {rows, width}, true, "");
    specs.back().vocabulary = vocabulary;
  }

  /// What stands before the layers of a stack.
  void stack_input(const std::string& stack, const TransformerArchitecture& a, int64_t positions) {
    table(stack + ".embed_positions", a.position_rows(positions), a.facts.width, false);
    specs.back().frozen = a.sinusoidal;
    if (a.embedding_norm) norm(stack + ".layernorm_embedding", a.facts.width);
  }

  /// What stands behind them, a block of its own.
  void stack_output(const std::string& stack, const TransformerArchitecture& a) {
    if (!a.final_norm) return;
    start_block();
    norm(stack + "." + a.final_norm_name, a.facts.width);
  }

  /// A product, with a bias or without; `group` joins it with its neighbours.
  void linear(const std::string& name, int64_t out, int64_t in, const std::string& group = "", bool bias = true) {
    const auto member = [&](const std::string& part) { return group.empty() ? "" : group + "." + part; };
    add(name + ".weight", {out, in}, true, member("weight"));
    if (bias) add(name + ".bias", {out}, false, member("bias"));
  }

  void norm(const std::string& name, int64_t width) {
    add(name + ".weight", {width}, false, "");
    add(name + ".bias", {width}, false, "");
  }

  void self_attention(const std::string& name, int64_t width, bool bias) {
    for (const char* part : {".q_proj", ".k_proj", ".v_proj"}) linear(name + part, width, width, name + ".qkv", bias);
    linear(name + ".out_proj", width, width, "", bias);
  }

  /// BigBird-Pegasus' encoder: the same under other names.
  void nested_attention(const std::string& name, int64_t width, bool bias) {
    for (const char* part : {".query", ".key", ".value"}) {
      linear(name + ".self" + part, width, width, name + ".qkv", bias);
    }
    linear(name + ".output", width, width, "", bias);
  }

  /// LED's: the local projections, then those of the global tokens.
  void band_attention(const std::string& name, int64_t width) {
    const std::string inner = name + ".longformer_self_attn";
    for (const char* part : {".query", ".key", ".value"}) linear(inner + part, width, width, name + ".qkv");
    linear(inner + ".query_global", width, width);
    for (const char* part : {".key_global", ".value_global"}) linear(inner + part, width, width, name + ".kv_global");
    linear(name + ".output", width, width);
  }

  void cross_attention(const std::string& name, int64_t width, bool bias) {
    linear(name + ".q_proj", width, width, "", bias);
    for (const char* part : {".k_proj", ".v_proj"}) linear(name + part, width, width, name + ".kv", bias);
    linear(name + ".out_proj", width, width, "", bias);
  }

  std::vector<ParameterSpec> specs;

 private:
  void add(const std::string& name, std::vector<int64_t> shape, bool decay, const std::string& group) {
    ParameterSpec spec;
    spec.name = name;
    spec.shape = std::move(shape);
    spec.block = block_;
    spec.decay = decay;
    spec.group = group;
    specs.push_back(std::move(spec));
  }

  int64_t block_ = -1;
};

}  // namespace

std::vector<ParameterSpec> transformer_parameters(const TransformerArchitecture& a) {
  const int64_t width = a.facts.width;
  Builder build;
  build.start_block();
  const std::string encoder = a.prefix + ".encoder", decoder = a.prefix + ".decoder";
  build.table(a.prefix + ".shared", a.facts.vocabulary, width, /*vocabulary=*/true);
  build.start_block();
  build.stack_input(encoder, a, a.facts.max_source_tokens);
  for (int64_t i = 0; i < a.facts.encoder_layers; ++i) {
    const std::string layer = encoder + ".layers." + std::to_string(i);
    build.start_block();
    if (!a.facts.windows.empty()) {
      build.band_attention(layer + ".self_attn", width);
    } else if (a.nested_attention) {
      build.nested_attention(layer + ".self_attn", width, a.attention_biases);
    } else {
      build.self_attention(layer + ".self_attn", width, a.attention_biases);
    }
    build.norm(layer + ".self_attn_layer_norm", width);
    build.linear(layer + ".fc1", a.facts.encoder_feed_forward, width);
    build.linear(layer + ".fc2", width, a.facts.encoder_feed_forward);
    build.norm(layer + ".final_layer_norm", width);
  }
  build.stack_output(encoder, a);
  build.start_block();
  build.stack_input(decoder, a, a.facts.max_target_tokens);
  for (int64_t i = 0; i < a.facts.decoder_layers; ++i) {
    const std::string layer = decoder + ".layers." + std::to_string(i);
    build.start_block();
    build.self_attention(layer + ".self_attn", width, a.attention_biases);
    build.norm(layer + ".self_attn_layer_norm", width);
    build.cross_attention(layer + ".encoder_attn", width, a.attention_biases);
    build.norm(layer + ".encoder_attn_layer_norm", width);
    build.linear(layer + ".fc1", a.facts.decoder_feed_forward, width);
    build.linear(layer + ".fc2", width, a.facts.decoder_feed_forward);
    build.norm(layer + ".final_layer_norm", width);
  }
  build.stack_output(decoder, a);
  return build.specs;
}

}  // namespace txtsum::model
