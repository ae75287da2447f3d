#pragma once

#include <cstdint>
#include <vector>

namespace txtsum::metrics {

/// Numbers of an encoder-decoder that decide its matrix products. docs/metrics.md has the formulas.
struct EncoderDecoderShape {
  int64_t model_width = 0;           ///< D
  int64_t attention_width = 0;       ///< A: heads x head width; equal to D but for some T5.
  int64_t encoder_feed_forward = 0;  ///< F of the encoder.
  int64_t decoder_feed_forward = 0;  ///< F of the decoder.
  int64_t encoder_layers = 0;
  int64_t decoder_layers = 0;
  int64_t vocabulary = 0;         ///< Rows of the output product.
  int feed_forward_matrices = 2;  ///< 3 where the feed-forward is gated.
  int encoder_projections = 4;    ///< Products of D x A in an encoder layer's attention: queries, keys, values, result.
};

/// Sums over the examples of some batches: s source tokens, t target tokens an example.
struct LengthSums {
  int64_t source_tokens = 0;       ///< sum s
  int64_t target_tokens = 0;       ///< sum t
  double source_pairs = 0;         ///< sum of the pairs that the encoder's attention has: s^2 without a window
  double target_triangle = 0;      ///< sum t (t + 1) / 2: a position attends to itself and those before
  double source_times_target = 0;  ///< sum s t

  void add(int64_t source, int64_t target);
  LengthSums& operator+=(const LengthSums& other);
};

/// Which weights get gradients. Empty vectors mean: all layers do.
struct TrainableParts {
  bool embeddings = true;    ///< Of encoder and decoder.
  bool output_table = true;  ///< Of the output product: the embeddings, or a table of its own.
  std::vector<bool> encoder_layers;
  std::vector<bool> decoder_layers;
  bool encoder_runs = true;  ///< False: its outputs are read from where they were kept.
};

struct TrainFlops {
  double forward = 0;
  double backward = 0;  ///< Gradients of inputs where something below needs them, of weights where they are trainable.
  double total() const { return forward + backward; }
};

/// FLOPs of the encoder's forward pass (a multiply-add is two).
double encoder_flops(const EncoderDecoderShape& shape, int64_t source_tokens, double source_pairs);

/// FLOPs of the forward pass with teacher forcing.
double forward_flops(const EncoderDecoderShape& shape, const LengthSums& sums);

/// FLOPs of one forward and backward pass. Recomputed activations are not in it: they are no work of the model.
/// Throws InternalError when a vector of `parts` has another length than the shape has layers.
TrainFlops train_flops(const EncoderDecoderShape& shape, const LengthSums& sums, const TrainableParts& parts);

/// What beam search ran. A row is one decoder position of one beam that was computed.
struct GenerationSums {
  int64_t source_tokens = 0;  ///< Encoded once an example, whatever the number of beams.
  double source_pairs = 0;
  int64_t decoder_rows = 0;
  double self_positions = 0;   ///< Sum over the rows of the positions attended to in the own sequence, itself included.
  double cross_positions = 0;  ///< Sum over the rows of their example's source length.
};

double generation_flops(const EncoderDecoderShape& shape, const GenerationSums& sums);

}  // namespace txtsum::metrics
