#include "transformer_model.h"
#include "transformer_names.h"

namespace txtsum::model {
namespace {

/// Collects the specs of one block after the other.
class Builder {
 public:
  explicit Builder(const TransformerArchitecture& architecture) : a_(architecture) {}

  void start_block() { ++block_; }

  void table(const std::string& name, int64_t rows, bool vocabulary) {
    add(name + ".weight", {rows, a_.facts.width}, {.std = a_.init.tables});
    specs.back().vocabulary = vocabulary;
  }

  /// Biases by distance. Layers share them, so that they are no layer's block.
  void relative_bias(const StackNames& names, int64_t heads) {
    if (a_.relative_buckets == 0) return;
    // transformers decays nothing that has `bias` in its name.
    add(names.relative_bias + ".weight", {a_.relative_buckets, heads}, {.decay = false, .std = a_.init.relative_bias});
  }

  /// What stands before the layers of a stack.
  void stack_input(const StackNames& names, int64_t positions) {
    if (a_.relative_buckets == 0) {
      table(names.positions, a_.position_rows(positions), false);
      specs.back().frozen = a_.sinusoidal;
    }
    if (a_.embedding_norm) norm(names.embedding_norm);
  }

  /// What stands behind them, a block of its own.
  void stack_output(const StackNames& names) {
    if (!a_.final_norm) return;
    start_block();
    norm(names.final_norm);
  }

  void norm(const std::string& name) {
    add(name + ".weight", {a_.facts.width}, {.decay = false, .mean = a_.init.norm_scale});
    if (a_.biases) add(name + ".bias", {a_.facts.width}, {.decay = false});
  }

  void self_attention(const AttentionNames& names) {
    qkv(names);
    out_of_heads(names.out);
  }

  /// LED's: the local projections, then those of the global tokens.
  void band_attention(const AttentionNames& names) {
    qkv(names);
    into_heads(names.query + "_global", a_.init.query);
    for (const std::string& part : {names.key, names.value})
      into_heads(part + "_global", a_.init.key_value, names.stem + ".kv_global");
    out_of_heads(names.out);
  }

  void cross_attention(const AttentionNames& names) {
    into_heads(names.query, a_.init.query);
    for (const std::string& part : {names.key, names.value}) into_heads(part, a_.init.key_value, names.stem + ".kv");
    out_of_heads(names.out);
  }

  void feed_forward(const LayerNames& names, int64_t width) {
    const std::string group = names.feed_in_parts.size() > 1 ? names.feed_in : "";
    for (const std::string& part : names.feed_in_parts)
      linear(part, {width, a_.facts.width}, {a_.init.feed_in, a_.biases, group});
    linear(names.feed_out, {a_.facts.width, width}, {a_.init.feed_out, a_.biases});
  }

  std::vector<ParameterSpec> specs;

 private:
  void qkv(const AttentionNames& names) {
    const std::string group = names.stem + ".qkv";
    into_heads(names.query, a_.init.query, group);
    for (const std::string& part : {names.key, names.value}) into_heads(part, a_.init.key_value, group);
  }
  void into_heads(const std::string& name, double std, const std::string& group = "") {
    linear(name, {a_.facts.attention_width, a_.facts.width}, {std, a_.attention_biases, group});
  }
  void out_of_heads(const std::string& name) {
    linear(name, {a_.facts.width, a_.facts.attention_width}, {a_.init.attention_out, a_.attention_biases});
  }

  struct Product {
    double std = 0.0;
    bool bias = true;
    std::string group = {};  ///< Joins it with its neighbours.
  };
  /// A product, [out, in].
  void linear(const std::string& name, std::vector<int64_t> shape, const Product& product) {
    const auto member = [&](const char* part) { return product.group.empty() ? "" : product.group + "." + part; };
    const int64_t out = shape.front();
    add(name + ".weight", std::move(shape), {.group = member("weight"), .std = product.std});
    if (product.bias) add(name + ".bias", {out}, {.decay = false, .group = member("bias")});
  }

  struct Traits {
    bool decay = true;
    std::string group = {};
    double mean = 0.0, std = 0.0;  ///< Of random weights.
  };
  void add(const std::string& name, std::vector<int64_t> shape, const Traits& traits) {
    ParameterSpec spec;
    spec.name = name;
    spec.shape = std::move(shape);
    spec.block = block_;
    spec.decay = traits.decay;
    spec.group = traits.group;
    spec.init_mean = traits.mean;
    spec.init_std = traits.std;
    specs.push_back(std::move(spec));
  }

  const TransformerArchitecture& a_;
  int64_t block_ = -1;
};

}  // namespace

std::vector<ParameterSpec> transformer_parameters(const TransformerArchitecture& a) {
  Builder build(a);
  build.start_block();
  // What is used outside the layers, or by several of them.
  build.table(table_name(a), a.facts.vocabulary, /*vocabulary=*/true);
  if (!a.tied_head) build.table(kOutputTable, a.facts.vocabulary, /*vocabulary=*/true);
  const StackNames encoder = stack_names(a, kEncoder), decoder = stack_names(a, kDecoder);
  build.relative_bias(encoder, a.encoder_heads);
  build.relative_bias(decoder, a.decoder_heads);
  build.start_block();
  build.stack_input(encoder, a.facts.max_source_tokens);
  for (int64_t i = 0; i < a.facts.encoder_layers; ++i) {
    const LayerNames names = layer_names(a, kEncoder, i);
    build.start_block();
    if (a.facts.windows.empty()) {
      build.self_attention(names.attention);
    } else {
      build.band_attention(names.attention);
    }
    build.norm(names.attention_norm);
    build.feed_forward(names, a.facts.encoder_feed_forward);
    build.norm(names.final_norm);
  }
  build.stack_output(encoder);
  build.start_block();
  build.stack_input(decoder, a.facts.max_target_tokens);
  for (int64_t i = 0; i < a.facts.decoder_layers; ++i) {
    const LayerNames names = layer_names(a, kDecoder, i);
    build.start_block();
    build.self_attention(names.attention);
    build.norm(names.attention_norm);
    build.cross_attention(names.cross);
    build.norm(names.cross_norm);
    build.feed_forward(names, a.facts.decoder_feed_forward);
    build.norm(names.final_norm);
  }
  build.stack_output(decoder);
  return build.specs;
}

}  // namespace txtsum::model
