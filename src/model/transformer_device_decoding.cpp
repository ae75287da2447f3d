#include "transformer_device_decoding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "txtsum/core/check.h"

namespace txtsum::model {
namespace {

constexpr int64_t kAlignment = 256;

int64_t padded(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

TransformerDeviceSession::TransformerDeviceSession(const TransformerModel& model, const DecodingCapacity& capacity)
    : model_(model), capacity_(capacity), rows_(capacity.slots * capacity.beams), pool_(model.arena().device()) {
  const ModelFacts& facts = model.facts();
  TXTSUM_CHECK(capacity.max_target_tokens <= facts.max_target_tokens, capacity.max_target_tokens);
  const at::TensorOptions on_gpu = model.arena().values().options();
  for (int64_t i = 0; i < facts.decoder_layers; ++i) {
    self_PE_.push_back(at::empty({rows_ * capacity.max_target_tokens, 2 * facts.attention_width}, on_gpu));
    cross_PE_.push_back(at::empty({capacity.slots * capacity.max_source_tokens, 2 * facts.attention_width}, on_gpu));
  }
  self_bias_HT_ = model.bias_of_past(capacity.max_target_tokens);
  lengths_.assign(static_cast<size_t>(rows_), 0);
  origins_.assign(static_cast<size_t>(rows_ * capacity.max_target_tokens), 0);
  source_lengths_.assign(static_cast<size_t>(capacity.slots), 0);
  inputs_ = make_inputs(on_gpu);
}

TransformerDeviceSession::Inputs TransformerDeviceSession::make_inputs(const at::TensorOptions& options) const {
  Inputs inputs;
  const int64_t places = rows_ * capacity_.max_target_tokens;
  inputs.bytes =
      at::empty({2 * padded(rows_ * 8) + padded(rows_ * 4) + padded(places * 4) + padded(capacity_.slots * 4)},
                options.dtype(at::kByte));
  int64_t next = 0;
  const auto take = [&](int64_t count, at::ScalarType type) {
    const int64_t bytes = count * static_cast<int64_t>(c10::elementSize(type));
    const at::Tensor part = inputs.bytes.narrow(0, next, bytes).view(type);
    next += padded(bytes);
    return part;
  };
  inputs.ids_R = take(rows_, at::kLong);
  inputs.positions_R = take(rows_, at::kLong);
  inputs.lengths_R = take(rows_, at::kInt);
  inputs.origins_RT = take(places, at::kInt).view({rows_, capacity_.max_target_tokens});
  inputs.source_lengths = take(capacity_.slots, at::kInt);
  return inputs;
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
    source_lengths_[static_cast<size_t>(slots[b])] = static_cast<int32_t>(length);
    const auto first = static_cast<std::ptrdiff_t>(slots[b] * capacity_.beams);
    std::fill_n(lengths_.begin() + first, capacity_.beams, 0);
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
        ops::decode_self_attention(layer.attention.qkv(y), self_PE_[index], {inputs_.origins_RT, inputs_.lengths_R},
                                   {layer.attention.heads, layer.attention.scale, self_bias_HT_}));
  };
  const auto cross = [&](const at::Tensor& h) {
    return layer.cross.out.product(ops::decode_cross_attention(
        layer.cross.q(h), cross_PE_[index], inputs_.source_lengths, {layer.cross.heads, layer.cross.scale}));
  };
  return model_.run_layer(layer, y_RD, attend, cross, {});
}

at::Tensor TransformerDeviceSession::compute() const {
  ops::RaggedTokens tokens;
  tokens.ids_N = inputs_.ids_R;
  tokens.positions_N = inputs_.positions_R;
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

at::Tensor TransformerDeviceSession::step(const std::vector<int64_t>& rows, const std::vector<int64_t>& ids) {
  const at::NoGradGuard no_grad;
  TXTSUM_CHECK(rows.size() == ids.size());
  const Inputs staging = make_inputs(at::TensorOptions().pinned_memory(true));
  std::memset(staging.bytes.mutable_data_ptr(), 0, staging.bytes.nbytes());
  auto* all_ids = staging.ids_R.mutable_data_ptr<int64_t>();
  auto* positions = staging.positions_R.mutable_data_ptr<int64_t>();
  auto* lengths = staging.lengths_R.mutable_data_ptr<int32_t>();
  for (size_t i = 0; i < rows.size(); ++i) {
    const int32_t held = lengths_[static_cast<size_t>(rows[i])];
    TXTSUM_CHECK(held < capacity_.max_target_tokens, "row ", rows[i]);
    all_ids[rows[i]] = ids[i];
    positions[rows[i]] = lengths[rows[i]] = held;
  }
  std::memcpy(staging.origins_RT.mutable_data_ptr(), origins_.data(), origins_.size() * sizeof(int32_t));
  std::memcpy(staging.source_lengths.mutable_data_ptr(), source_lengths_.data(),
              source_lengths_.size() * sizeof(int32_t));
  inputs_.bytes.copy_(staging.bytes, /*non_blocking=*/true);

  const auto run = [this] {
    const at::Tensor logits_RV = compute();
    if (!logits_RV_.defined()) logits_RV_ = at::empty_like(logits_RV);
    logits_RV_.copy_(logits_RV);
  };
  // The first step runs eagerly, which loads the kernels that the graph launches.
  if (steps_ == 0) {
    run();
  } else {
    if (!graph_) graph_ = pool_.capture(run);
    graph_->replay();
  }
  ++steps_;
  for (const int64_t row : rows) {
    int32_t& held = lengths_[static_cast<size_t>(row)];
    origins_[static_cast<size_t>(row * capacity_.max_target_tokens + held)] = static_cast<int32_t>(row);
    ++held;
  }
  return logits_RV_;
}

void TransformerDeviceSession::reorder(const std::vector<int64_t>& rows, const std::vector<int64_t>& parents) {
  TXTSUM_CHECK(rows.size() == parents.size());
  const auto capacity = static_cast<size_t>(capacity_.max_target_tokens);
  const std::vector<int32_t> origins = origins_, lengths = lengths_;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]), parent = static_cast<size_t>(parents[i]);
    if (row == parent) continue;
    std::copy_n(origins.begin() + static_cast<std::ptrdiff_t>(parent * capacity), capacity,
                origins_.begin() + static_cast<std::ptrdiff_t>(row * capacity));
    lengths_[row] = lengths[parent];
  }
}

}  // namespace txtsum::model
