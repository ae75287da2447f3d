#include "transformer_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "transformer_decoding.h"
#include "transformer_device_decoding.h"
#include "txtsum/core/check.h"
#include "txtsum/core/random.h"
#include "txtsum/ops/dropout.h"
#include "txtsum/ops/embed.h"
#include "txtsum/ops/linear_cross_entropy.h"

namespace txtsum::model {
namespace {

// Dropout sites of one layer, and of the two stacks, whose first numbers are those of their ends.
enum LayerSite : int64_t {
  kAttentionProbabilities,
  kAttentionOut,
  kCrossProbabilities,
  kCrossOut,
  kActivation,
  kFeedForwardOut
};
constexpr int64_t kSitesPerLayer = 8;
constexpr int64_t kEncoderSites = 0;
constexpr int64_t kDecoderSites = int64_t{1} << 20;
constexpr int64_t kStackOut = 1;

int64_t layer_site(int64_t stack, int64_t layer, LayerSite site) { return stack + (layer + 1) * kSitesPerLayer + site; }

at::Tensor run_block(const ForwardContext& context, int64_t block, const std::vector<at::Tensor>& inputs,
                     const ops::BlockScope::Body& body) {
  return context.scope != nullptr ? context.scope->run(block, inputs, body) : body(inputs);
}

}  // namespace

TransformerModel::TransformerModel(TransformerArchitecture architecture, std::unique_ptr<Arena> arena,
                                   at::Tensor final_logits_bias)
    : architecture_(std::move(architecture)),
      arena_(std::move(arena)),
      final_logits_bias_V_(std::move(final_logits_bias)) {
  TXTSUM_CHECK(final_logits_bias_V_.numel() == architecture_.facts.vocabulary);
  has_bias_ = final_logits_bias_V_.count_nonzero().item<int64_t>() != 0;
  table_ = arena_->ref(table_name(architecture_) + ".weight");
  head_ = arena_->ref(head_name(architecture_) + ".weight");
  ends_ = {stack_ends(kEncoder), stack_ends(kDecoder)};
  for (int64_t i = 0; i < architecture_.facts.encoder_layers; ++i) encoder_.push_back(encoder_layer(i));
  for (int64_t i = 0; i < architecture_.facts.decoder_layers; ++i) decoder_.push_back(decoder_layer(i));
}

ops::ParamRef TransformerModel::bias(const std::string& name) const {
  return architecture_.biases ? arena_->ref(name + ".bias") : ops::ParamRef();
}

nn::Linear TransformerModel::linear(const std::string& name) const {
  return {arena_->ref(name + ".weight"), bias(name)};
}

nn::Norm TransformerModel::norm(const std::string& name) const {
  return {arena_->ref(name + ".weight"), bias(name), architecture_.norm_epsilon};
}

double TransformerModel::attention_scale(Side side) const {
  if (!architecture_.scaled_attention) return 1.0;
  const int64_t heads = side == kEncoder ? architecture_.encoder_heads : architecture_.decoder_heads;
  return nn::attention_scale(facts().attention_width, heads);
}

nn::Linear TransformerModel::attention_linear(const std::string& name) const {
  return {arena_->ref(name + ".weight"),
          architecture_.attention_biases ? arena_->ref(name + ".bias") : ops::ParamRef()};
}

std::shared_ptr<const ops::BlockPlan> TransformerModel::block_plan(int64_t layer) {
  ops::BlockRule rule = facts().blocks;
  rule.layer = layer;
  const auto make = [&] {
    return std::make_shared<const ops::BlockPlan>(rule, facts().max_source_tokens, arena_->device());
  };
  if (rule.seed) return make();
  if (!shared_plan_) shared_plan_ = make();
  return shared_plan_;
}

TransformerModel::EncoderLayer TransformerModel::encoder_layer(int64_t i) {
  const LayerNames names = layer_names(architecture_, kEncoder, i);
  const AttentionNames& attention = names.attention;
  EncoderLayer layer;
  layer.attention = {attention_linear(attention.stem + ".qkv"), attention_linear(attention.out),
                     architecture_.encoder_heads, attention_scale(kEncoder), ends_[kEncoder].relative_bias};
  if (!architecture_.facts.windows.empty()) {
    layer.band = nn::BandAttention{
        layer.attention.qkv, linear(attention.query + "_global"), linear(attention.stem + ".kv_global"),
        layer.attention.out, architecture_.encoder_heads,         architecture_.facts.windows[static_cast<size_t>(i)]};
  } else if (facts().block_sparse()) {
    layer.blocks = nn::BlockSparseAttention{layer.attention.qkv, layer.attention.out, block_plan(i)};
  }
  layer.feed_forward = feed_forward(names);
  layer.attention_norm = norm(names.attention_norm);
  layer.final_norm = norm(names.final_norm);
  return layer;
}

TransformerModel::DecoderLayer TransformerModel::decoder_layer(int64_t i) const {
  const LayerNames names = layer_names(architecture_, kDecoder, i);
  const double scale = attention_scale(kDecoder);
  return {{attention_linear(names.attention.stem + ".qkv"), attention_linear(names.attention.out),
           architecture_.decoder_heads, scale, ends_[kDecoder].relative_bias},
          {attention_linear(names.cross.query), attention_linear(names.cross.stem + ".kv"),
           attention_linear(names.cross.out), architecture_.decoder_heads, scale},
          feed_forward(names),
          norm(names.attention_norm),
          norm(names.cross_norm),
          norm(names.final_norm)};
}

nn::FeedForward TransformerModel::feed_forward(const LayerNames& names) const {
  return {linear(names.feed_in), linear(names.feed_out), architecture_.activation, facts().gated_feed_forward};
}

TransformerModel::Ends TransformerModel::stack_ends(Side side) const {
  const StackNames names = stack_names(architecture_, side);
  Ends ends;
  if (architecture_.relative_buckets > 0) {
    ends.relative_bias = ops::make_relative_bias(
        arena_->ref(names.relative_bias + ".weight"),
        {architecture_.relative_buckets, architecture_.relative_max_distance, /*bidirectional=*/side == kEncoder},
        arena_->device());
  } else {
    ends.positions = arena_->ref(names.positions + ".weight");
  }
  if (architecture_.embedding_norm) ends.embedding_norm = norm(names.embedding_norm);
  if (architecture_.final_norm) ends.final_norm = norm(names.final_norm);
  return ends;
}

at::Tensor TransformerModel::bias_of_past(int64_t positions) const {
  const at::NoGradGuard no_grad;
  const ops::RelativeBias& bias = ends_[kDecoder].relative_bias;
  return bias.present() ? ops::bias_of_distances(bias, 1 - positions, positions).flip(1) : at::Tensor();
}

int64_t TransformerModel::first_decoder_block() const {
  return 2 + facts().encoder_layers + (architecture_.final_norm ? 1 : 0);
}

ops::GlobalTokens TransformerModel::global_tokens(const ops::RaggedTokens& source) const {
  if (architecture_.facts.windows.empty()) return {};
  const GlobalTokenChoice& choice = architecture_.global_tokens;
  if (choice.ids.empty()) return choice.first ? ops::first_tokens(source) : ops::GlobalTokens();
  const at::Tensor ids_N = source.ids_N.cpu();
  const int64_t* ids = ids_N.const_data_ptr<int64_t>();
  std::vector<int64_t> rows;
  for (int64_t b = 0; b < source.sequences(); ++b) {
    const int64_t begin = source.offsets[static_cast<size_t>(b)], end = source.offsets[static_cast<size_t>(b) + 1];
    for (int64_t row = begin; row < end; ++row) {
      const bool named = std::find(choice.ids.begin(), choice.ids.end(), ids[row]) != choice.ids.end();
      if (named || (choice.first && row == begin)) rows.push_back(row);
    }
  }
  return ops::make_global_tokens(rows, source);
}

at::Tensor TransformerModel::enter(Side side, const ops::RaggedTokens& tokens, const ops::DropoutKey& dropout) const {
  const Ends& ends = ends_[side];
  ops::EmbedOptions options{architecture_.embedding_scale, architecture_.position_offset};
  // transformers' tables pass no gradient to the padding token's row, which some families' decoders start with.
  const bool starts_with_padding = side == kDecoder && facts().decoder_start_id == facts().pad_id;
  if (starts_with_padding && architecture_.still_padding) options.still_id = facts().pad_id;
  const at::Tensor x_ND = ops::embed(tokens, {table_, ends.positions}, options, ends.embedding_norm.refs(), dropout);
  return architecture_.pre_norm ? x_ND.to(at::kFloat) : x_ND;
}

at::Tensor TransformerModel::leave(Side side, const at::Tensor& x_ND, const ops::DropoutKey& dropout) const {
  if (!architecture_.final_norm) return x_ND;
  const at::Tensor result_ND = ops::dropout(ends_[side].final_norm.of_stream(x_ND), dropout);
  return side == kDecoder && architecture_.head_factor != 1.0 ? result_ND * architecture_.head_factor : result_ND;
}

ops::DropoutKey TransformerModel::final_key(Side side, const ops::RaggedTokens& tokens,
                                            const ForwardContext& context) const {
  if (!architecture_.final_dropout) return {};
  return key(architecture_.dropout, (side == kEncoder ? kEncoderSites : kDecoderSites) + kStackOut, tokens, context);
}

at::Tensor TransformerModel::run_layer(const EncoderLayer& layer, const at::Tensor& x_ND, const Product& attend,
                                       const LayerKeys& keys) const {
  const ops::ParamRef &attention_bias = layer.attention.out.bias, &feed_bias = layer.feed_forward.out.bias;
  if (!architecture_.pre_norm) {
    const at::Tensor h = layer.attention_norm(attend(x_ND), attention_bias, x_ND, keys.attention_out);
    return layer.final_norm(layer.feed_forward(h, keys.activation), feed_bias, h, keys.feed_forward_out);
  }
  const at::Tensor attended = attend(layer.attention_norm.of_stream(x_ND));
  const ops::StreamResult h = layer.final_norm.add_to_stream(x_ND, attended, attention_bias, keys.attention_out);
  const at::Tensor fed = layer.feed_forward(h.normed_ND, keys.activation);
  return ops::add_to_stream(h.stream_ND, fed, feed_bias, keys.feed_forward_out);
}

at::Tensor TransformerModel::run_layer(const DecoderLayer& layer, const at::Tensor& y_MD, const Product& attend,
                                       const Product& cross, const LayerKeys& keys) const {
  const ops::ParamRef &attention_bias = layer.attention.out.bias, &cross_bias = layer.cross.out.bias,
                      &feed_bias = layer.feed_forward.out.bias;
  if (!architecture_.pre_norm) {
    const at::Tensor h = layer.attention_norm(attend(y_MD), attention_bias, y_MD, keys.attention_out);
    const at::Tensor c = layer.cross_norm(cross(h), cross_bias, h, keys.cross_out);
    return layer.final_norm(layer.feed_forward(c, keys.activation), feed_bias, c, keys.feed_forward_out);
  }
  const at::Tensor attended = attend(layer.attention_norm.of_stream(y_MD));
  const ops::StreamResult h = layer.cross_norm.add_to_stream(y_MD, attended, attention_bias, keys.attention_out);
  const ops::StreamResult c =
      layer.final_norm.add_to_stream(h.stream_ND, cross(h.normed_ND), cross_bias, keys.cross_out);
  const at::Tensor fed = layer.feed_forward(c.normed_ND, keys.activation);
  return ops::add_to_stream(c.stream_ND, fed, feed_bias, keys.feed_forward_out);
}

ops::DropoutKey TransformerModel::key(double probability, int64_t site, const ops::RaggedTokens& tokens,
                                      const ForwardContext& context) const {
  if (!context.training || probability == 0.0) return {};
  return {probability,       context.seed,       context.update,         site,
          tokens.examples_N, tokens.positions_N, context.dropout_words_2};
}

TransformerModel::LayerKeys TransformerModel::layer_keys(int64_t stack, int64_t layer, const ops::RaggedTokens& tokens,
                                                         const ForwardContext& context) const {
  const auto site = [&](double probability, LayerSite which) {
    return key(probability, layer_site(stack, layer, which), tokens, context);
  };
  return {site(architecture_.attention_dropout, kAttentionProbabilities),
          site(architecture_.dropout, kAttentionOut),
          site(architecture_.attention_dropout, kCrossProbabilities),
          site(architecture_.dropout, kCrossOut),
          site(architecture_.activation_dropout, kActivation),
          site(architecture_.dropout, kFeedForwardOut)};
}

bool TransformerModel::dropped(double layerdrop, int64_t site, const ForwardContext& context) const {
  if (!context.training || layerdrop == 0.0) return false;
  const uint64_t stream = static_cast<uint64_t>(context.update) << 32 | static_cast<uint64_t>(site);
  return core::RandomStream(context.seed, stream).next_unit() < layerdrop;
}

std::vector<std::string> TransformerModel::encoder_parameters() const {
  const std::string table = table_name(architecture_) + ".weight";
  const std::string relative_bias = stack_names(architecture_, kEncoder).relative_bias + ".weight";
  std::vector<std::string> names;
  for (const ArenaEntry& entry : arena_->layout().entries()) {
    // Block 0 has what is used outside the layers, the decoder's and the output product's too.
    const bool reads =
        entry.block == 0 ? entry.name == table || entry.name == relative_bias : entry.block < first_decoder_block();
    if (reads) names.push_back(entry.name);
  }
  return names;
}

at::Tensor TransformerModel::encode(const ops::RaggedTokens& source, const ForwardContext& given) const {
  TXTSUM_CHECK(source.longest <= facts().max_source_tokens, source.longest);
  ForwardContext context = given;
  context.training = given.training && architecture_.encoder_dropout;
  int64_t block = 1;
  const ops::GlobalTokens globals = global_tokens(source);
  const ops::DropoutKey first_key = key(architecture_.dropout, kEncoderSites, source, context);
  at::Tensor x_ND = run_block(context, block++, {}, [this, source, first_key](const std::vector<at::Tensor>&) {
    return enter(kEncoder, source, first_key);
  });
  for (size_t i = 0; i < encoder_.size(); ++i, ++block) {
    const int64_t index = static_cast<int64_t>(i);
    if (dropped(architecture_.encoder_layerdrop, layer_site(kEncoderSites, index, kAttentionProbabilities), context))
      continue;
    const EncoderLayer& layer = encoder_[i];
    // A body may run again in backward, so it holds what it needs.
    const LayerKeys keys = layer_keys(kEncoderSites, index, source, context);
    const auto body = [this, &layer, source, globals, keys](const std::vector<at::Tensor>& inputs) {
      const auto attend = [&](const at::Tensor& x) {
        if (layer.band) return (*layer.band)(x, source, globals);
        if (layer.blocks) return (*layer.blocks)(x, source);
        return layer.attention(x, source, /*causal=*/false, keys.probabilities);
      };
      return run_layer(layer, inputs[0], attend, keys);
    };
    x_ND = run_block(context, block, {x_ND}, body);
  }
  if (!architecture_.final_norm) return x_ND;
  const ops::DropoutKey last_key = final_key(kEncoder, source, context);
  return run_block(context, block, {x_ND},
                   [=, this](const auto& inputs) { return leave(kEncoder, inputs[0], last_key); });
}

at::Tensor TransformerModel::decode(const ops::RaggedTokens& target, const at::Tensor& encoded_ND,
                                    const ops::RaggedTokens& source, const ForwardContext& context) const {
  TXTSUM_CHECK(target.longest <= facts().max_target_tokens, target.longest);
  int64_t block = first_decoder_block();
  const ops::DropoutKey first_key = key(architecture_.dropout, kDecoderSites, target, context);
  at::Tensor y_MD = run_block(context, block++, {}, [this, target, first_key](const std::vector<at::Tensor>&) {
    return enter(kDecoder, target, first_key);
  });
  for (size_t i = 0; i < decoder_.size(); ++i, ++block) {
    const int64_t index = static_cast<int64_t>(i);
    if (dropped(architecture_.decoder_layerdrop, layer_site(kDecoderSites, index, kAttentionProbabilities), context))
      continue;
    const DecoderLayer& layer = decoder_[i];
    const LayerKeys keys = layer_keys(kDecoderSites, index, target, context);
    y_MD = run_block(context, block, {y_MD, encoded_ND}, [this, &layer, source, target, keys](const auto& inputs) {
      const auto attend = [&](const at::Tensor& y) {
        return layer.attention(y, target, /*causal=*/true, keys.probabilities);
      };
      const auto cross = [&](const at::Tensor& h) {
        return layer.cross(h, target, inputs[1], source, keys.cross_probabilities);
      };
      return run_layer(layer, inputs[0], attend, cross, keys);
    });
  }
  if (!architecture_.final_norm) return y_MD;
  const ops::DropoutKey last_key = final_key(kDecoder, target, context);
  return run_block(context, block, {y_MD},
                   [=, this](const auto& inputs) { return leave(kDecoder, inputs[0], last_key); });
}

at::Tensor TransformerModel::logits(const at::Tensor& decoded_MD) const {
  at::Tensor logits_MV = at::mm(decoded_MD, head_.value().narrow(0, 0, facts().vocabulary).t()).to(at::kFloat);
  if (has_bias_) logits_MV.add_(final_logits_bias_V_);
  return logits_MV;
}

LossSum TransformerModel::loss(const ops::RaggedTokens& source, const ops::RaggedTokens& labels, double label_smoothing,
                               const ForwardContext& context) const {
  const ops::RaggedTokens target = shift_right(labels, facts().decoder_start_id);
  const at::Tensor encoded_ND = context.encoded_ND.defined() ? context.encoded_ND : encode(source, context);
  const at::Tensor decoded_MD = decode(target, encoded_ND, source, context);
  const ops::CrossEntropySums sums =
      ops::linear_cross_entropy(decoded_MD, head_, has_bias_ ? final_logits_bias_V_ : at::Tensor(), labels.ids_N,
                                {facts().vocabulary, label_smoothing, context.loss_factor_1});
  return {sums.loss, sums.nll, labels.tokens()};
}

std::unique_ptr<DecodingSession> TransformerModel::start_decoding(const DecodingCapacity& capacity) const {
  return std::make_unique<TransformerSession>(*this, capacity);
}

std::unique_ptr<DeviceDecodingSession> TransformerModel::start_device_decoding(const DecodingCapacity& capacity,
                                                                               const ops::DecodingRows& rows) const {
  return std::make_unique<TransformerDeviceSession>(*this, capacity, rows);
}

std::vector<std::pair<std::string, at::Tensor>> TransformerModel::buffers() const {
  if (!architecture_.output_bias) return {};
  return {{"final_logits_bias", final_logits_bias_V_.view({1, -1})}};
}

double source_pairs(const ModelFacts& facts, int64_t tokens) {
  if (facts.block_sparse()) return ops::block_pairs(facts.blocks, tokens);
  const auto n = static_cast<double>(tokens);
  if (facts.windows.empty()) return n * n;
  double sum = 0.0;
  for (const int64_t window : facts.windows) {
    const auto w = static_cast<double>(window);
    sum += n <= w ? n * n : n * (2 * w + 1) - w * (w + 1);  // the band, less what hangs over both ends
    sum += std::max(n - w - 1, 0.0) + n;                    // the global key from afar, the global query
  }
  return sum / static_cast<double>(facts.windows.size());
}

ops::RaggedTokens shift_right(const ops::RaggedTokens& labels, int64_t start_id) {
  ops::RaggedTokens target = labels;
  target.ids_N = at::empty_like(labels.ids_N);
  if (labels.tokens() == 0) return target;
  target.ids_N.narrow(0, 1, labels.tokens() - 1).copy_(labels.ids_N.narrow(0, 0, labels.tokens() - 1));
  target.ids_N.masked_fill_(labels.positions_N == 0, start_id);
  target.ids_N.clamp_min_(0);  // behind a label that does not count any token will do
  return target;
}

}  // namespace txtsum::model
