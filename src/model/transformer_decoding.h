#pragma once

#include <vector>

#include "transformer_model.h"

namespace txtsum::model {

/// Incremental decoding of a transformer: self-attention keys and values a row, those of the source once a slot.
class TransformerSession final : public DecodingSession {
 public:
  TransformerSession(const TransformerModel& model, const DecodingCapacity& capacity);

  void admit(const std::vector<int64_t>& slots, const at::Tensor& encoded_ND, const ops::RaggedTokens& source) override;
  at::Tensor step(const std::vector<int64_t>& rows, const std::vector<int64_t>& ids) override;
  void reorder(const std::vector<int64_t>& rows, const std::vector<int64_t>& parents) override;

 private:
  at::Tensor embed(const std::vector<int64_t>& rows, const std::vector<int64_t>& ids) const;
  at::Tensor run_layer(size_t index, const at::Tensor& y_RD, const std::vector<int64_t>& rows);

  const TransformerModel& model_;
  DecodingCapacity capacity_;
  std::vector<at::Tensor> self_PE_;   // a layer: [rows * max_target_tokens, 2 D], keys then values
  std::vector<at::Tensor> cross_PE_;  // a layer: [slots * max_source_tokens, 2 D]
  at::Tensor self_bias_HT_;           // see TransformerModel::bias_of_past
  std::vector<int64_t> row_tokens_;   // tokens that each row holds
  std::vector<int64_t> slot_tokens_;  // source tokens of each slot
};

}  // namespace txtsum::model
