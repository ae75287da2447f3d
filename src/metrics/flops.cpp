#include "txtsum/metrics/flops.h"

#include "txtsum/core/check.h"

namespace txtsum::metrics {
namespace {

/// A product of weights or of activations, with the gradients that the backward pass needs of it. Each gradient costs
/// as much as the forward product.
struct Tally {
  double forward = 0;
  double backward = 0;

  void add(double product, bool input_gradient, bool weight_gradient) {
    forward += product;
    backward += product * (static_cast<int>(input_gradient) + static_cast<int>(weight_gradient));
  }
};

/// Projections of `tokens` between D and A, `count` of them.
double projections(const EncoderDecoderShape& shape, double tokens, int count) {
  return 2.0 * tokens * count * static_cast<double>(shape.model_width) * static_cast<double>(shape.attention_width);
}

/// Scores and weighted sum over `pairs` of query and key.
double attention_products(const EncoderDecoderShape& shape, double pairs) {
  return 4.0 * pairs * static_cast<double>(shape.attention_width);
}

double feed_forward(const EncoderDecoderShape& shape, double tokens, int64_t width, int count) {
  return 2.0 * tokens * count * static_cast<double>(shape.model_width) * static_cast<double>(width);
}

/// `below`: something under this layer needs the gradient of its input. `own`: its weights are trainable.
void add_encoder_layer(const EncoderDecoderShape& shape, const LengthSums& sums, bool own, bool below, Tally& tally) {
  const auto tokens = static_cast<double>(sums.source_tokens);
  const bool inner = own || below;
  tally.add(projections(shape, tokens, shape.encoder_projections - 1), below, own);
  tally.add(attention_products(shape, sums.source_pairs), inner, inner);
  tally.add(projections(shape, tokens, 1), inner, own);
  tally.add(feed_forward(shape, tokens, shape.encoder_feed_forward, shape.feed_forward_matrices), inner, own);
}

/// `encoder_needs`: the encoder's output needs its gradient.
void add_decoder_layer(const EncoderDecoderShape& shape, const LengthSums& sums, bool own, bool below,
                       bool encoder_needs, Tally& tally) {
  const auto source = static_cast<double>(sums.source_tokens);
  const auto target = static_cast<double>(sums.target_tokens);
  const bool self = own || below;
  const bool cross = self || encoder_needs;
  tally.add(projections(shape, target, 3), below, own);
  tally.add(attention_products(shape, sums.target_triangle), self, self);
  tally.add(projections(shape, target, 1), self, own);
  tally.add(projections(shape, target, 1), self, own);           // query of the cross-attention
  tally.add(projections(shape, source, 2), encoder_needs, own);  // its keys and values
  const double half = attention_products(shape, sums.source_times_target) / 2;
  tally.add(half, self, own || encoder_needs);   // scores: gradients of queries, of keys
  tally.add(half, cross, own || encoder_needs);  // weighted sum: gradients of weights, of values
  tally.add(projections(shape, target, 1), cross, own);
  tally.add(feed_forward(shape, target, shape.decoder_feed_forward, shape.feed_forward_matrices), cross, own);
}

std::vector<bool> layer_flags(const std::vector<bool>& flags, int64_t layers) {
  if (flags.empty()) return std::vector<bool>(static_cast<size_t>(layers), true);
  TXTSUM_CHECK(static_cast<int64_t>(flags.size()) == layers, "flags ", flags.size(), " layers ", layers);
  return flags;
}

}  // namespace

void LengthSums::add(int64_t source, int64_t target) {
  const auto s = static_cast<double>(source);
  const auto t = static_cast<double>(target);
  source_tokens += source;
  target_tokens += target;
  source_pairs += s * s;
  target_triangle += t * (t + 1) / 2;
  source_times_target += s * t;
}

LengthSums& LengthSums::operator+=(const LengthSums& other) {
  source_tokens += other.source_tokens;
  target_tokens += other.target_tokens;
  source_pairs += other.source_pairs;
  target_triangle += other.target_triangle;
  source_times_target += other.source_times_target;
  return *this;
}

double encoder_flops(const EncoderDecoderShape& shape, int64_t source_tokens, double source_pairs) {
  const auto tokens = static_cast<double>(source_tokens);
  return static_cast<double>(shape.encoder_layers) *
         (projections(shape, tokens, shape.encoder_projections) + attention_products(shape, source_pairs) +
          feed_forward(shape, tokens, shape.encoder_feed_forward, shape.feed_forward_matrices));
}

double forward_flops(const EncoderDecoderShape& shape, const LengthSums& sums) {
  return train_flops(shape, sums, {}).forward;
}

TrainFlops train_flops(const EncoderDecoderShape& shape, const LengthSums& sums, const TrainableParts& parts) {
  Tally tally;
  bool below = parts.embeddings;
  for (const bool own : layer_flags(parts.encoder_layers, shape.encoder_layers)) {
    if (parts.encoder_runs) add_encoder_layer(shape, sums, own, below, tally);
    below = below || own;
  }
  const bool encoder_needs = below;
  below = parts.embeddings;
  bool decoder_needs = below;
  for (const bool own : layer_flags(parts.decoder_layers, shape.decoder_layers)) {
    add_decoder_layer(shape, sums, own, below, encoder_needs, tally);
    below = below || own || encoder_needs;
    decoder_needs = below;
  }
  const double output = 2.0 * static_cast<double>(sums.target_tokens) * static_cast<double>(shape.model_width) *
                        static_cast<double>(shape.vocabulary);
  tally.add(output, decoder_needs, parts.output_table);
  return {tally.forward, tally.backward};
}

double generation_flops(const EncoderDecoderShape& shape, const GenerationSums& sums) {
  const auto source = static_cast<double>(sums.source_tokens);
  const auto rows = static_cast<double>(sums.decoder_rows);
  const double decoder_layer = projections(shape, source, 2) + projections(shape, rows, 6) +
                               attention_products(shape, sums.self_positions + sums.cross_positions) +
                               feed_forward(shape, rows, shape.decoder_feed_forward, shape.feed_forward_matrices);
  const double output = 2.0 * rows * static_cast<double>(shape.model_width) * static_cast<double>(shape.vocabulary);
  return encoder_flops(shape, sums.source_tokens, sums.source_pairs) +
         decoder_layer * static_cast<double>(shape.decoder_layers) + output;
}

}  // namespace txtsum::metrics
