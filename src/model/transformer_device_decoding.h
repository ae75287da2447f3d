#pragma once

#include <vector>

#include "transformer_model.h"

namespace txtsum::model {

/// Incremental decoding of a transformer on a GPU. Every step computes all rows; rows that continue others read their
/// past where it lies, so that nothing is copied.
class TransformerDeviceSession final : public DeviceDecodingSession {
 public:
  TransformerDeviceSession(const TransformerModel& model, const DecodingCapacity& capacity,
                           const ops::DecodingRows& rows);

  void admit(const std::vector<int64_t>& slots, const at::Tensor& encoded_ND, const ops::RaggedTokens& source) override;
  at::Tensor logits() override;

 private:
  at::Tensor run_layer(size_t index, const at::Tensor& y_RD) const;

  const TransformerModel& model_;
  const DecodingCapacity capacity_;
  const ops::DecodingRows rows_;
  std::vector<at::Tensor> self_PE_, cross_PE_;  // a layer each, as TransformerSession has them
  at::Tensor self_bias_HT_;                     // see TransformerModel::bias_of_past
};

}  // namespace txtsum::model
