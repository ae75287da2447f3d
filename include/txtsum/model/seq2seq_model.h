#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "txtsum/core/json.h"
#include "txtsum/model/arena.h"
#include "txtsum/ops/block_plan.h"
#include "txtsum/ops/block_scope.h"
#include "txtsum/ops/device_search.h"
#include "txtsum/ops/ragged.h"

// Shapes: B sequences of a batch, N source tokens, M target tokens, D model width, V vocabulary, R decoding rows.

namespace txtsum::model {

/// Positions of a model that has no table of them.
inline constexpr int64_t kNoPositionLimit = int64_t{1} << 30;

/// What a family tells the rest of the program about one checkpoint, from its config.json.
struct ModelFacts {
  std::string family;  ///< `bart`, ...
  int64_t vocabulary = 0;
  int64_t width = 0;
  int64_t head_width = 0;       ///< Of attention's heads in the encoder.
  int64_t attention_width = 0;  ///< Heads times their width, the same in encoder and decoder.
  int64_t encoder_layers = 0;
  int64_t decoder_layers = 0;
  int64_t encoder_feed_forward = 0;
  int64_t decoder_feed_forward = 0;
  bool gated_feed_forward = false;  ///< Feed-forward layers have three matrices instead of two.
  int64_t max_source_tokens = 0;    ///< Positions that the encoder has; kNoPositionLimit where they are relative.
  int64_t max_target_tokens = 0;
  bool drops_layers = false;   ///< Training leaves whole layers out at random.
  bool encoder_drops = false;  ///< Training drops anything in the encoder, so that its result changes by itself.
  /// A pass asks the host where sequences lie, so that no graph can hold it.
  bool asks_host = false;
  /// Neighbours on each side that a token of an encoder layer sees, beside global tokens; empty: it sees all.
  std::vector<int64_t> windows;
  /// Of an encoder with block-sparse attention, in place of windows: the rule that its layers follow; no tokens in a
  /// block: none.
  ops::BlockRule blocks;
  bool block_sparse() const { return blocks.block > 0; }
  bool drops_probabilities = false;  ///< Training drops attention probabilities.
  bool relative_bias = false;        ///< Self-attention adds a bias by distance.
  int64_t pad_id = 1, bos_id = 0, eos_id = 2, decoder_start_id = 2;
};

/// Pairs of query and key in an encoder layer's attention over a source of `tokens`, in the mean over the layers; of
/// global tokens the first one is counted, and a block that counts several times is counted once.
double source_pairs(const ModelFacts& facts, int64_t tokens);

/// How one forward pass runs.
struct ForwardContext {
  bool training = false;  ///< Dropout is on.
  uint64_t seed = 0;      ///< Keys dropout, with `update`.
  int64_t update = 0;
  at::Tensor dropout_words_2;        ///< Where the model is on a GPU and the pass is captured: see ops::DropoutKey.
  at::Tensor loss_factor_1;          ///< See ops::CrossEntropyOptions::gradient_factor_1.
  at::Tensor encoded_ND;             ///< encode()'s result where it is known: loss() then leaves the encoder out.
  ops::BlockScope* scope = nullptr;  ///< Null: blocks run plainly.
};

/// The loss of one batch, summed over its target tokens; divide by `tokens` (of the whole global batch) for the mean.
struct LossSum {
  at::Tensor loss;  ///< fp32, 0-dim; with label smoothing; the one to call backward on (with derivative 1).
  at::Tensor nll;   ///< fp32, 0-dim; without label smoothing; detached.
  int64_t tokens = 0;
};

/// Incremental decoding on a CPU, for a fixed number of slots. A slot holds one example; its hypotheses are rows slot *
/// beams ... slot * beams + beams - 1. Keys and values of the source are held once a slot.
class DecodingSession {
 public:
  virtual ~DecodingSession() = default;
  /// Puts new examples into `slots` (one a sequence of `source`) and empties their rows. `encoded_ND` is encode()'s
  /// result.
  virtual void admit(const std::vector<int64_t>& slots, const at::Tensor& encoded_ND,
                     const ops::RaggedTokens& source) = 0;
  /// Appends token ids[i] to row rows[i] and returns the next token's logits, fp32, [rows, V]. Rows may be any subset.
  virtual at::Tensor step(const std::vector<int64_t>& rows, const std::vector<int64_t>& ids) = 0;
  /// Makes row rows[i] continue what row parents[i] held before the call, for all i at once.
  virtual void reorder(const std::vector<int64_t>& rows, const std::vector<int64_t>& parents) = 0;
};

/// The same on a GPU, where the rows and what they stand at are an ops::DeviceSearch's.
class DeviceDecodingSession {
 public:
  virtual ~DeviceDecodingSession() = default;
  /// Keeps the keys and values of new examples in `slots`, one a sequence of `source`.
  virtual void admit(const std::vector<int64_t>& slots, const at::Tensor& encoded_ND,
                     const ops::RaggedTokens& source) = 0;
  /// Appends each row's token and returns the next token's logits of all rows, in fp32 or the weights' type, with
  /// columns behind V that do not count; they may be changed. A graph can hold it.
  virtual at::Tensor logits() = 0;
};

/// Sizes of a decoding session.
struct DecodingCapacity {
  int64_t slots = 1;
  int64_t beams = 1;
  int64_t max_source_tokens = 0;  ///< Of any example that will be admitted.
  int64_t max_target_tokens = 0;  ///< Tokens that a row can hold, the decoder's start token included.
};

/// A pretrained encoder-decoder. Single-device code only: sharding and recomputation act through the arena and
/// BlockScope.
class Seq2SeqModel {
 public:
  virtual ~Seq2SeqModel() = default;

  virtual const ModelFacts& facts() const = 0;
  virtual Arena& arena() = 0;
  virtual const Arena& arena() const = 0;

  /// Names of the arena's entries that encode() reads.
  virtual std::vector<std::string> encoder_parameters() const = 0;
  /// Runs the encoder: [N, D], in the arena's type.
  virtual at::Tensor encode(const ops::RaggedTokens& source, const ForwardContext& context) const = 0;
  /// Runs the decoder on `target` (decoder input ids, as shift_right makes them) against the encoder's result: [M, D].
  virtual at::Tensor decode(const ops::RaggedTokens& target, const at::Tensor& encoded_ND,
                            const ops::RaggedTokens& source, const ForwardContext& context) const = 0;
  /// Logits of decoder states, fp32, [M, V].
  virtual at::Tensor logits(const at::Tensor& decoded_MD) const = 0;
  /// Encoder, decoder and loss. `labels` has the ids to predict and target's offsets; the decoder's input is made from
  /// them. With gradients on, the output projection's gradient is added during this call, the others in backward.
  virtual LossSum loss(const ops::RaggedTokens& source, const ops::RaggedTokens& labels, double label_smoothing,
                       const ForwardContext& context) const = 0;

  /// On a CPU.
  virtual std::unique_ptr<DecodingSession> start_decoding(const DecodingCapacity& capacity) const = 0;
  /// On a GPU; `rows` says what each row stands at.
  virtual std::unique_ptr<DeviceDecodingSession> start_device_decoding(const DecodingCapacity& capacity,
                                                                       const ops::DecodingRows& rows) const = 0;

  /// Named tensors to save beside the arena's entries that are no parameters (BART: final_logits_bias).
  virtual std::vector<std::pair<std::string, at::Tensor>> buffers() const = 0;
};

/// Decoder inputs for `labels`: each sequence moved right by one behind `start_id`. Labels may be negative (they count
/// nothing); the inputs behind them are 0.
ops::RaggedTokens shift_right(const ops::RaggedTokens& labels, int64_t start_id);

}  // namespace txtsum::model
