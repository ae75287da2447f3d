#pragma once

#include <vector>

#include "transformer_model.h"
#include "txtsum/ops/decode_attention.h"
#include "txtsum/ops/device_graph.h"

namespace txtsum::model {

/// Incremental decoding of a transformer on a GPU. Every step computes all rows, so that it is one captured graph; rows
/// that continue others read their past where it lies, so that nothing is copied.
class TransformerDeviceSession final : public DecodingSession {
 public:
  TransformerDeviceSession(const TransformerModel& model, const DecodingCapacity& capacity);

  void admit(const std::vector<int64_t>& slots, const at::Tensor& encoded_ND, const ops::RaggedTokens& source) override;
  at::Tensor step(const std::vector<int64_t>& rows, const std::vector<int64_t>& ids) override;
  void reorder(const std::vector<int64_t>& rows, const std::vector<int64_t>& parents) override;

 private:
  /// What a step reads, as views of one buffer on a device.
  struct Inputs {
    at::Tensor bytes;
    at::Tensor ids_R, positions_R;                     // int64
    at::Tensor lengths_R, origins_RT, source_lengths;  // int32
  };
  Inputs make_inputs(const at::TensorOptions& options) const;
  at::Tensor compute() const;
  at::Tensor run_layer(size_t index, const at::Tensor& y_RD) const;

  const TransformerModel& model_;
  DecodingCapacity capacity_;
  int64_t rows_;
  std::vector<at::Tensor> self_PE_, cross_PE_;  // a layer each, as TransformerSession has them
  at::Tensor self_bias_HT_;                     // see TransformerModel::bias_of_past
  std::vector<int32_t> lengths_, origins_, source_lengths_;
  Inputs inputs_;
  at::Tensor logits_RV_;
  ops::DevicePool pool_;
  std::unique_ptr<ops::DeviceGraph> graph_;
  int64_t steps_ = 0;
};

}  // namespace txtsum::model
