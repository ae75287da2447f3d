#pragma once

#include <vector>

#include "bart_architecture.h"
#include "txtsum/nn/layers.h"

namespace txtsum::model {

/// The parameters of a BART in the order of the arena, under Hugging Face's names.
std::vector<ParameterSpec> bart_parameters(const BartArchitecture& architecture);

/// BART: post-norm encoder-decoder with learned positions and tied embeddings.
class BartModel final : public Seq2SeqModel {
 public:
  /// The arena holds zeros; the loader fills it. `final_logits_bias` is fp32, [V].
  BartModel(BartArchitecture architecture, std::unique_ptr<Arena> arena, at::Tensor final_logits_bias);

  const ModelFacts& facts() const override { return architecture_.facts; }
  Arena& arena() override { return *arena_; }
  const Arena& arena() const override { return *arena_; }
  at::Tensor encode(const ops::RaggedTokens& source, const ForwardContext& context) const override;
  at::Tensor decode(const ops::RaggedTokens& target, const at::Tensor& encoded_ND, const ops::RaggedTokens& source,
                    const ForwardContext& context) const override;
  at::Tensor logits(const at::Tensor& decoded_MD) const override;
  LossSum loss(const ops::RaggedTokens& source, const ops::RaggedTokens& labels, double label_smoothing,
               const ForwardContext& context) const override;
  std::unique_ptr<DecodingSession> start_decoding(const DecodingCapacity& capacity) const override;
  std::vector<std::pair<std::string, at::Tensor>> buffers() const override;

 private:
  friend class BartDecodingSession;
  friend class BartDeviceSession;

  struct EncoderLayer {
    nn::SelfAttention attention;
    nn::FeedForward feed_forward;
    nn::Norm attention_norm, final_norm;
  };
  struct DecoderLayer {
    nn::SelfAttention attention;
    nn::CrossAttention cross;
    nn::FeedForward feed_forward;
    nn::Norm attention_norm, cross_norm, final_norm;
  };

  /// The dropout sites of one layer.
  struct LayerKeys {
    ops::DropoutKey probabilities, attention_out, cross_probabilities, cross_out, activation, feed_forward_out;
  };

  nn::Linear linear(const std::string& name) const;
  nn::Norm norm(const std::string& name) const;
  EncoderLayer encoder_layer(int64_t i) const;
  DecoderLayer decoder_layer(int64_t i) const;
  at::Tensor embed(const std::string& side, const ops::RaggedTokens& tokens) const;
  ops::DropoutKey key(double probability, int64_t site, const ops::RaggedTokens& tokens,
                      const ForwardContext& context) const;
  LayerKeys layer_keys(int64_t stack, int64_t layer, const ops::RaggedTokens& tokens,
                       const ForwardContext& context) const;
  bool dropped(double layerdrop, int64_t site, const ForwardContext& context) const;

  BartArchitecture architecture_;
  std::unique_ptr<Arena> arena_;
  at::Tensor final_logits_bias_V_;
  bool has_bias_ = false;  // a bias of zeros is left out of the products
  ops::ParamRef table_;
  nn::Norm encoder_norm_, decoder_norm_;
  std::vector<EncoderLayer> encoder_;
  std::vector<DecoderLayer> decoder_;
};

}  // namespace txtsum::model
