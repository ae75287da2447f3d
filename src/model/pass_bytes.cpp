#include <c10/core/ScalarType.h>

#include <algorithm>

#include "txtsum/model/model_outline.h"
#include "txtsum/ops/linear_cross_entropy.h"

// Follows transformer_model.cpp and what its operations' nodes of the graph hold. Letters as there: D model width, A
// heads x head width, I columns between the products of the feed-forward, H heads, w bytes of an element.

namespace txtsum::model {
namespace {

constexpr const char* kHead = "lm_head.weight";
constexpr int64_t kFloatBytes = 4;
constexpr int64_t kMoments = 2 * kFloatBytes;  ///< Mean and inverse deviation of a norm's row.

/// Bytes that one block keeps.
struct BlockBytes {
  int64_t input = 0;   ///< What the block before it left, which a block that is recomputed keeps as well.
  int64_t inside = 0;  ///< All else.
};

class Counter {
 public:
  Counter(const ModelOutline& outline, const PassTokens& tokens, const PassOptions& options)
      : outline_(outline),
        facts_(outline.facts),
        tokens_(tokens),
        options_(options),
        w_(static_cast<int64_t>(c10::elementSize(options.dtype))),
        D_(facts_.width),
        A_(facts_.attention_width) {}

  PassBytes count() const;

 private:
  bool trains(int64_t block) const { return outline_.layout.block_range(block, /*trainable=*/true).numel() > 0; }
  /// Whether something of block 0 learns that the stacks read, or that the loss reads.
  bool table_trains() const {
    return any_trains([](const ArenaEntry& entry) { return entry.name != kHead; });
  }
  bool head_trains() const {
    const ArenaEntry* head = outline_.layout.find(kHead);
    return head != nullptr ? head->in_trainable_range : table_trains();
  }
  template <typename Chosen>
  bool any_trains(const Chosen& chosen) const {
    const std::vector<ArenaEntry>& entries = outline_.layout.entries();
    return std::any_of(entries.begin(), entries.end(), [&](const ArenaEntry& entry) {
      return entry.block == 0 && entry.in_trainable_range && chosen(entry);
    });
  }
  bool pre_norm() const { return outline_.traits.pre_norm; }
  /// A row of what goes from layer to layer.
  int64_t stream() const { return pre_norm() ? D_ * kFloatBytes : D_ * w_; }
  int64_t inner(bool decoder) const {
    return (decoder ? facts_.decoder_feed_forward : facts_.encoder_feed_forward) * (facts_.gated_feed_forward ? 2 : 1);
  }

  int64_t log_sums(bool decoder_self, bool cross) const;
  int64_t feed_forward(bool decoder, bool own) const;
  int64_t encoder_attention() const;
  BlockBytes encoder_layer(bool own) const;
  BlockBytes decoder_layer(bool own) const;
  int64_t embeddings(int64_t tokens) const;
  int64_t loss_chunk() const;
  int64_t between(bool decoder) const;
  int64_t encoder_backward() const;
  int64_t decoder_backward() const;

  /// Encoder or decoder.
  struct Stack {
    int64_t kept = 0;
    int64_t block = 0;  ///< What a layer that is computed again has beside.
    bool learns = false;
  };
  template <typename Layer>
  Stack stack(int64_t tokens, int64_t first_block, int64_t layers, bool below, const Layer& layer) const;

  const ModelOutline& outline_;
  const ModelFacts& facts_;
  PassTokens tokens_;
  PassOptions options_;
  int64_t w_, D_, A_;
};

/// Logarithms of the sums of attention's probabilities, one a head and query; not where probabilities are made again.
int64_t Counter::log_sums(bool decoder_self, bool cross) const {
  const int64_t heads = decoder_self || cross ? outline_.traits.decoder_heads : outline_.traits.encoder_heads;
  const bool sparse = !decoder_self && !cross && (!facts_.windows.empty() || facts_.block_sparse());
  const bool biased = facts_.relative_bias && !cross;
  const bool by_sequence = facts_.drops_probabilities && (biased || !options_.on_gpu);
  const bool has = options_.on_gpu ? !by_sequence : !sparse && !biased && !by_sequence;
  return has ? heads * kFloatBytes : 0;
}

int64_t Counter::feed_forward(bool decoder, bool own) const {
  const int64_t row = inner(decoder) * w_;
  // On a CPU an activation's result is kept beside what it was made of.
  const bool twice = !options_.on_gpu && !facts_.gated_feed_forward && own;
  return row * (twice ? 2 : 1);
}

/// Of one token, behind queries, keys and values.
int64_t Counter::encoder_attention() const {
  int64_t row = A_ * w_ + log_sums(false, false);
  if (facts_.windows.empty()) return row;
  // LED's global tokens, one a sequence: probabilities over all tokens, or keys and values of their own.
  const int64_t heads = outline_.traits.encoder_heads, globals = tokens_.sequences;
  return row + (globals <= A_ / heads ? heads * globals * kFloatBytes : 2 * A_ * w_);
}

BlockBytes Counter::encoder_layer(bool own) const {
  const int64_t norms = 2 * kMoments, product_input = own ? D_ * w_ : 0;
  int64_t row = 3 * A_ * w_ + encoder_attention() + feed_forward(false, own) + norms;
  if (pre_norm()) {
    row += 2 * product_input + stream();  // both normed, and the sum between
    return {tokens_.source * stream(), tokens_.source * row};
  }
  row += product_input + 2 * D_ * w_;  // the first norm's result, and what both norm
  return {tokens_.source * (own || options_.recompute ? stream() : 0), tokens_.source * row};
}

BlockBytes Counter::decoder_layer(bool own) const {
  const int64_t norms = 3 * kMoments, product_input = own ? D_ * w_ : 0;
  int64_t row =
      (3 * A_ + A_ + A_ + A_) * w_ + log_sums(true, false) + log_sums(false, true) + feed_forward(true, own) + norms;
  const int64_t keys_and_values = tokens_.source * 2 * A_ * w_;
  if (pre_norm()) {
    row += 3 * product_input + 2 * stream();
    return {tokens_.target * stream(), tokens_.target * row + keys_and_values};
  }
  row += 2 * product_input + 3 * D_ * w_;
  return {tokens_.target * (own || options_.recompute ? stream() : 0), tokens_.target * row + keys_and_values};
}

int64_t Counter::embeddings(int64_t tokens) const {
  return outline_.traits.embedding_norm ? tokens * (D_ * w_ + kMoments) : 0;
}

int64_t Counter::loss_chunk() const {
  // A GPU's logits are of the weights' type and over the rows that fill the table up; a CPU has them in fp32, and in
  // turn their exponentials or their derivative.
  const at::Device device = options_.on_gpu ? at::kCUDA : at::kCPU;
  const int64_t columns = options_.on_gpu ? outline_.vocabulary_rows() : facts_.vocabulary;
  const int64_t logit = options_.on_gpu ? w_ : kFloatBytes, times = options_.on_gpu ? 1 : 2;
  const int64_t rows = std::max<int64_t>(16, ops::logits_chunk_bytes(device) / (columns * logit));
  // A product that is added to gradients of another type is made apart from them.
  const bool apart = head_trains() && options_.gradients != options_.dtype;
  return std::min(rows, tokens_.target) * columns * logit * times + (apart ? columns * D_ * w_ : 0);
}

/// Rows between the products of the feed-forward's backward pass: gradient and, made again, what they are of.
int64_t Counter::between(bool decoder) const {
  const int64_t row = inner(decoder) * w_;
  if (options_.on_gpu) return 2 * row;
  // Step by step, in fp32 where the weights are narrower.
  if (facts_.gated_feed_forward) return 5 * row;
  return options_.dtype == at::kFloat ? 2 * row : 3 * row;
}

/// What the backward pass of an encoder layer makes at its start, where most of the layer is still kept.
int64_t Counter::encoder_backward() const { return tokens_.source * (stream() + between(/*decoder=*/false)); }

int64_t Counter::decoder_backward() const {
  const int64_t at_feed_forward = tokens_.target * (stream() + between(/*decoder=*/true));
  // Behind the feed-forward: the gradients of keys and values, and of the encoder's result twice, to be added.
  const int64_t freed = tokens_.target * (inner(true) + 2 * D_) * w_;
  const int64_t at_cross = tokens_.source * (2 * A_ + 2 * D_) * w_ + tokens_.target * (stream() + 2 * A_ * w_) - freed;
  return std::max(at_feed_forward, at_cross);
}

template <typename Layer>
Counter::Stack Counter::stack(int64_t tokens, int64_t first_block, int64_t layers, bool below,
                              const Layer& layer) const {
  Stack stack;
  if (below && !options_.recompute) stack.kept = embeddings(tokens);
  for (int64_t number = 0; number < layers; ++number) {
    const bool own = trains(first_block + number);
    if (!below && !own) continue;  // no graph
    below = true;
    const BlockBytes bytes = layer(own);
    stack.kept += options_.recompute ? bytes.input : bytes.input + bytes.inside;
    if (options_.recompute) stack.block = bytes.inside;
  }
  // The norm behind the layers reads what the last one left.
  if (pre_norm() && below) stack.kept += tokens * (stream() + kMoments);
  stack.learns = below;
  return stack;
}

PassBytes Counter::count() const {
  const Stack encoder =
      stack(tokens_.source, outline_.encoder_block(0), facts_.encoder_layers,
            table_trains() || trains(outline_.encoder_block(0) - 1), [this](bool own) { return encoder_layer(own); });
  const Stack decoder = stack(tokens_.target, outline_.decoder_block(0), facts_.decoder_layers,
                              table_trains() || trains(outline_.decoder_block(0) - 1) || encoder.learns,
                              [this](bool own) { return decoder_layer(own); });
  const int64_t encoded = tokens_.source * D_ * w_, decoded = tokens_.target * D_ * w_;
  PassBytes bytes;
  bytes.kept = encoder.kept + encoded + decoder.kept;
  bytes.logits = loss_chunk();
  const int64_t at_loss = bytes.kept + 2 * decoded + bytes.logits;  // the decoder's result and its gradient
  const int64_t at_decoder = decoder.learns ? bytes.kept + decoder.block + decoder_backward() : 0;
  const int64_t at_encoder = encoder.learns ? encoder.kept + encoded + encoder.block + encoder_backward() : 0;
  bytes.peak = std::max({at_loss, at_decoder, at_encoder});
  return bytes;
}

}  // namespace

int64_t ModelOutline::vocabulary_rows() const {
  const ArenaEntry* head = layout.find(kHead);
  for (const ArenaEntry& entry : layout.entries()) {
    if (head == nullptr && entry.block == 0 && entry.shape.front() == facts.vocabulary) head = &entry;
  }
  return head != nullptr ? head->padded_numel / head->shape.back() : facts.vocabulary;
}

PassBytes pass_bytes(const ModelOutline& outline, const PassTokens& tokens, const PassOptions& options) {
  return Counter(outline, tokens, options).count();
}

}  // namespace txtsum::model
