#include "transformer_device_decoding.h"

#include <ATen/ATen.h>

#include "txtsum/core/check.h"

namespace txtsum::model {

TransformerDeviceSession::TransformerDeviceSession(const TransformerModel& model, const DecodingCapacity& capacity,
                                                   const ops::DecodingRows& rows)
    : model_(model), capacity_(capacity), rows_(rows) {
  const ModelFacts& facts = model.facts();
  TXTSUM_CHECK(capacity.max_target_tokens <= facts.max_target_tokens, capacity.max_target_tokens);
  TXTSUM_CHECK(rows.ids_R.size(0) == capacity.slots * capacity.beams, rows.ids_R.size(0));
  const at::TensorOptions on_gpu = model.arena().values().options();
  for (int64_t i = 0; i < facts.decoder_layers; ++i) {
    self_PE_.push_back(at::empty({rows.ids_R.size(0) * capacity.max_target_tokens, 2 * facts.attention_width}, on_gpu));
    cross_PE_.push_back(at::empty({capacity.slots * capacity.max_source_tokens, 2 * facts.attention_width}, on_gpu));
  }
  self_bias_HT_ = model.bias_of_past(capacity.max_target_tokens);
}

void TransformerDeviceSession::admit(const std::vector<int64_t>& slots, const at::Tensor& encoded_ND,
                                     const ops::RaggedTokens& source) {
  const at::NoGradGuard no_grad;
  TXTSUM_CHECK(static_cast<int64_t>(slots.size()) == source.sequences() &&
               source.longest <= capacity_.max_source_tokens);
  std::vector<int64_t> places;
  for (size_t b = 0; b < slots.size(); ++b) {
    const int64_t length = source.offsets[b + 1] - source.offsets[b];
    for (int64_t t = 0; t < length; ++t) places.push_back(slots[b] * capacity_.max_source_tokens + t);
  }
  const at::Tensor places_N = at::tensor(places, at::kLong).to(encoded_ND.device());
  for (size_t layer = 0; layer < cross_PE_.size(); ++layer) {
    cross_PE_[layer].index_copy_(0, places_N, model_.decoder_[layer].cross.kv(encoded_ND));
  }
}

at::Tensor TransformerDeviceSession::run_layer(size_t index, const at::Tensor& y_RD) const {
  const TransformerModel::DecoderLayer& layer = model_.decoder_[index];
  const auto attend = [&](const at::Tensor& y) {
    return layer.attention.out.product(
        ops::decode_self_attention(layer.attention.qkv(y), self_PE_[index], rows_.past,
                                   {layer.attention.heads, layer.attention.scale, self_bias_HT_}));
  };
  const auto cross = [&](const at::Tensor& h) {
    return layer.cross.out.product(ops::decode_cross_attention(layer.cross.q(h), cross_PE_[index], rows_.source_lengths,
                                                               {layer.cross.heads, layer.cross.scale}));
  };
  return model_.run_layer(layer, y_RD, attend, cross, {});
}

at::Tensor TransformerDeviceSession::logits() {
  ops::RaggedTokens tokens;
  tokens.ids_N = rows_.ids_R;
  tokens.positions_N = rows_.positions_R;
  at::Tensor y_RD = model_.enter(kDecoder, tokens, {});
  for (size_t layer = 0; layer < self_PE_.size(); ++layer) y_RD = run_layer(layer, y_RD);
  y_RD = model_.leave(kDecoder, y_RD, {});
  // Over the padding rows too, so that the product is aligned.
  const at::Tensor logits_RV = at::mm(y_RD, model_.head_.value().t());
  if (!model_.has_bias_) return logits_RV;
  const at::Tensor wide_RV = logits_RV.to(at::kFloat);
  wide_RV.narrow(1, 0, model_.facts().vocabulary).add_(model_.final_logits_bias_V_);
  return wide_RV;
}

}  // namespace txtsum::model
