#include "transformer_decoding.h"

#include <ATen/ATen.h>

#include <cstring>

#include "txtsum/core/check.h"
#include "txtsum/ops/decode_attention.h"

namespace txtsum::model {

TransformerSession::TransformerSession(const TransformerModel& model, const DecodingCapacity& capacity)
    : model_(model), capacity_(capacity) {
  const ModelFacts& facts = model.facts();
  TXTSUM_CHECK(capacity.max_target_tokens <= facts.max_target_tokens, capacity.max_target_tokens);
  const int64_t rows = capacity.slots * capacity.beams;
  for (int64_t i = 0; i < facts.decoder_layers; ++i) {
    // Decoding attention works in fp32 whatever the weights' type.
    self_PE_.push_back(at::empty({rows * capacity.max_target_tokens, 2 * facts.attention_width}, at::kFloat));
    cross_PE_.push_back(
        at::empty({capacity.slots * capacity.max_source_tokens, 2 * facts.attention_width}, at::kFloat));
  }
  self_bias_HT_ = model.bias_of_past(capacity.max_target_tokens);
  row_tokens_.assign(static_cast<size_t>(rows), 0);
  slot_tokens_.assign(static_cast<size_t>(capacity.slots), 0);
}

void TransformerSession::admit(const std::vector<int64_t>& slots, const at::Tensor& encoded_ND,
                               const ops::RaggedTokens& source) {
  const at::NoGradGuard no_grad;
  TXTSUM_CHECK(static_cast<int64_t>(slots.size()) == source.sequences() &&
               source.longest <= capacity_.max_source_tokens);
  for (size_t layer = 0; layer < cross_PE_.size(); ++layer) {
    const at::Tensor kv_NE = model_.decoder_[layer].cross.kv(encoded_ND);
    for (size_t b = 0; b < slots.size(); ++b) {
      const int64_t length = source.offsets[b + 1] - source.offsets[b];
      cross_PE_[layer]
          .narrow(0, slots[b] * capacity_.max_source_tokens, length)
          .copy_(kv_NE.narrow(0, source.offsets[b], length));
    }
  }
  for (size_t b = 0; b < slots.size(); ++b) {
    slot_tokens_[static_cast<size_t>(slots[b])] = source.offsets[b + 1] - source.offsets[b];
    for (int64_t beam = 0; beam < capacity_.beams; ++beam) {
      row_tokens_[static_cast<size_t>(slots[b] * capacity_.beams + beam)] = 0;
    }
  }
}

at::Tensor TransformerSession::embed(const std::vector<int64_t>& rows, const std::vector<int64_t>& ids) const {
  std::vector<int64_t> positions;
  for (const int64_t row : rows) positions.push_back(row_tokens_[static_cast<size_t>(row)]);
  ops::RaggedTokens tokens;
  tokens.ids_N = at::tensor(ids, at::kLong);
  tokens.positions_N = at::tensor(positions, at::kLong);
  return model_.enter(kDecoder, tokens, {});
}

at::Tensor TransformerSession::run_layer(size_t index, const at::Tensor& y_RD, const std::vector<int64_t>& rows) {
  const TransformerModel::DecoderLayer& layer = model_.decoder_[index];
  const int64_t width = model_.facts().attention_width;
  std::vector<int64_t> self_begin, self_length, cross_begin, cross_length, places;
  for (const int64_t row : rows) {
    const int64_t held = row_tokens_[static_cast<size_t>(row)], slot = row / capacity_.beams;
    self_begin.push_back(row * capacity_.max_target_tokens);
    self_length.push_back(held + 1);
    places.push_back(row * capacity_.max_target_tokens + held);
    cross_begin.push_back(slot * capacity_.max_source_tokens);
    cross_length.push_back(slot_tokens_[static_cast<size_t>(slot)]);
  }
  const auto attend = [&](const at::Tensor& y) {
    const at::Tensor qkv_RE = layer.attention.qkv(y);
    const at::Tensor& self = self_PE_[index];
    self.index_copy_(0, at::tensor(places, at::kLong), qkv_RE.narrow(1, width, 2 * width).to(at::kFloat));
    return layer.attention.out.product(
        ops::decode_attention(qkv_RE.narrow(1, 0, width), self.narrow(1, 0, width), self.narrow(1, width, width),
                              self_begin, self_length, {layer.attention.heads, layer.attention.scale, self_bias_HT_}));
  };
  const auto cross = [&](const at::Tensor& h) {
    const at::Tensor& source = cross_PE_[index];
    return layer.cross.out.product(ops::decode_attention(layer.cross.q(h), source.narrow(1, 0, width),
                                                         source.narrow(1, width, width), cross_begin, cross_length,
                                                         {layer.cross.heads, layer.cross.scale}));
  };
  return model_.run_layer(layer, y_RD, attend, cross, {});
}

at::Tensor TransformerSession::step(const std::vector<int64_t>& rows, const std::vector<int64_t>& ids) {
  const at::NoGradGuard no_grad;
  TXTSUM_CHECK(rows.size() == ids.size());
  for (const int64_t row : rows)
    TXTSUM_CHECK(row_tokens_[static_cast<size_t>(row)] < capacity_.max_target_tokens, "row ", row);
  at::Tensor y_RD = embed(rows, ids);
  for (size_t layer = 0; layer < self_PE_.size(); ++layer) y_RD = run_layer(layer, y_RD, rows);
  for (const int64_t row : rows) ++row_tokens_[static_cast<size_t>(row)];
  return model_.logits(model_.leave(kDecoder, y_RD, {}));
}

void TransformerSession::reorder(const std::vector<int64_t>& rows, const std::vector<int64_t>& parents) {
  TXTSUM_CHECK(rows.size() == parents.size());
  std::vector<int64_t> moved_rows, moved_parents;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == parents[i]) continue;
    moved_rows.push_back(rows[i]);
    moved_parents.push_back(parents[i]);
  }
  if (moved_rows.empty()) return;
  const size_t row_floats = static_cast<size_t>(2 * model_.facts().attention_width);
  const std::vector<int64_t> held = row_tokens_;
  std::vector<float> buffer;
  for (at::Tensor& pool : self_PE_) {
    float* data = pool.mutable_data_ptr<float>();
    const auto row_start = [&](int64_t row) {
      return data + static_cast<size_t>(row * capacity_.max_target_tokens) * row_floats;
    };
    // Parents may be overwritten by their siblings, so all are read before any is written.
    buffer.clear();
    for (const int64_t parent : moved_parents) {
      const float* begin = row_start(parent);
      buffer.insert(buffer.end(), begin, begin + static_cast<size_t>(held[static_cast<size_t>(parent)]) * row_floats);
    }
    const float* from = buffer.data();
    for (size_t i = 0; i < moved_rows.size(); ++i) {
      const size_t count = static_cast<size_t>(held[static_cast<size_t>(moved_parents[i])]) * row_floats;
      std::memcpy(row_start(moved_rows[i]), from, count * sizeof(float));
      from += count;
    }
  }
  for (size_t i = 0; i < moved_rows.size(); ++i) {
    row_tokens_[static_cast<size_t>(moved_rows[i])] = held[static_cast<size_t>(moved_parents[i])];
  }
}

}  // namespace txtsum::model
