#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "transformer_architecture.h"
#include "transformer_names.h"
#include "txtsum/nn/layers.h"

namespace txtsum::model {

/// The parameters in the order of the arena, under Hugging Face's names.
std::vector<ParameterSpec> transformer_parameters(const TransformerArchitecture& architecture);

/// The transformers that descend from BART and T5 (TransformerArchitecture).
class TransformerModel final : public Seq2SeqModel {
 public:
  /// The arena holds zeros; the loader fills it. `final_logits_bias` is fp32, [V].
  TransformerModel(TransformerArchitecture architecture, std::unique_ptr<Arena> arena, at::Tensor final_logits_bias);

  const ModelFacts& facts() const override { return architecture_.facts; }
  Arena& arena() override { return *arena_; }
  const Arena& arena() const override { return *arena_; }
  std::vector<std::string> encoder_parameters() const override;
  at::Tensor encode(const ops::RaggedTokens& source, const ForwardContext& given) const override;
  at::Tensor decode(const ops::RaggedTokens& target, const at::Tensor& encoded_ND, const ops::RaggedTokens& source,
                    const ForwardContext& context) const override;
  at::Tensor logits(const at::Tensor& decoded_MD) const override;
  LossSum loss(const ops::RaggedTokens& source, const ops::RaggedTokens& labels, double label_smoothing,
               const ForwardContext& context) const override;
  std::unique_ptr<DecodingSession> start_decoding(const DecodingCapacity& capacity) const override;
  std::unique_ptr<DeviceDecodingSession> start_device_decoding(const DecodingCapacity& capacity,
                                                               const ops::DecodingRows& rows) const override;
  std::vector<std::pair<std::string, at::Tensor>> buffers() const override;

 private:
  friend class TransformerSession;
  friend class TransformerDeviceSession;

  struct EncoderLayer {
    nn::SelfAttention attention;
    // In place of `attention`, whose `out` is theirs.
    std::optional<nn::BandAttention> band;
    std::optional<nn::BlockSparseAttention> blocks;
    nn::FeedForward feed_forward;
    nn::Norm attention_norm, final_norm;
  };
  struct DecoderLayer {
    nn::SelfAttention attention;
    nn::CrossAttention cross;
    nn::FeedForward feed_forward;
    nn::Norm attention_norm, cross_norm, final_norm;
  };

  /// What stands before and behind the layers of a stack.
  struct Ends {
    ops::ParamRef positions;              ///< Where the architecture has a table of them,
    ops::RelativeBias relative_bias;      ///< or of distances, which all layers share.
    nn::Norm embedding_norm, final_norm;  ///< Where the architecture has them.
  };

  /// The dropout sites of one layer.
  struct LayerKeys {
    ops::DropoutKey probabilities, attention_out, cross_probabilities, cross_out, activation, feed_forward_out;
  };

  ops::ParamRef bias(const std::string& name) const;
  nn::Linear linear(const std::string& name) const;
  /// One of attention's products, which have biases or not.
  nn::Linear attention_linear(const std::string& name) const;
  nn::Norm norm(const std::string& name) const;
  double attention_scale(Side side) const;
  Ends stack_ends(Side side) const;
  nn::FeedForward feed_forward(const LayerNames& names) const;
  EncoderLayer encoder_layer(int64_t i);
  /// The lists of blocks of an encoder layer.
  std::shared_ptr<const ops::BlockPlan> block_plan(int64_t layer);
  DecoderLayer decoder_layer(int64_t i) const;
  /// Computes one decoder layer; `attend` and `cross` map its input and what stands between to their products.
  using Product = std::function<at::Tensor(const at::Tensor& x)>;
  at::Tensor run_layer(const EncoderLayer& layer, const at::Tensor& x_ND, const Product& attend,
                       const LayerKeys& keys) const;
  at::Tensor run_layer(const DecoderLayer& layer, const at::Tensor& y_MD, const Product& attend, const Product& cross,
                       const LayerKeys& keys) const;
  /// The tokens that a windowed encoder lets all others see; none in other encoders.
  ops::GlobalTokens global_tokens(const ops::RaggedTokens& source) const;
  /// What a stack's first layer reads: embeddings, normed or not, dropped; the stream of a pre-norm stack.
  at::Tensor enter(Side side, const ops::RaggedTokens& tokens, const ops::DropoutKey& dropout) const;
  /// The stack's result from what its last layer left; the decoder's is what the output product takes.
  at::Tensor leave(Side side, const at::Tensor& x_ND, const ops::DropoutKey& dropout) const;
  /// What the decoder's self-attention adds for a key that many positions before the query, fp32, [H, positions];
  /// undefined where it adds nothing.
  at::Tensor bias_of_past(int64_t positions) const;
  /// Block number of the decoder's embeddings.
  int64_t first_decoder_block() const;
  ops::DropoutKey key(double probability, int64_t site, const ops::RaggedTokens& tokens,
                      const ForwardContext& context) const;
  ops::DropoutKey final_key(Side side, const ops::RaggedTokens& tokens, const ForwardContext& context) const;
  LayerKeys layer_keys(int64_t stack, int64_t layer, const ops::RaggedTokens& tokens,
                       const ForwardContext& context) const;
  bool dropped(double layerdrop, int64_t site, const ForwardContext& context) const;

  TransformerArchitecture architecture_;
  std::unique_ptr<Arena> arena_;
  at::Tensor final_logits_bias_V_;
  bool has_bias_ = false;  // a bias of zeros is left out of the products
  ops::ParamRef table_, head_;
  std::shared_ptr<const ops::BlockPlan> shared_plan_;  // where no layer's blocks are drawn
  std::array<Ends, 2> ends_;                           // by side
  std::vector<EncoderLayer> encoder_;
  std::vector<DecoderLayer> decoder_;
};

}  // namespace txtsum::model
