#include "txtsum/ops/decode_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "row_kernels.h"
#include "txtsum/core/check.h"

namespace txtsum::ops {
namespace {

/// One head of one row. Strides are the distances of pool rows in elements.
struct Head {
  const float *query = nullptr, *keys = nullptr, *values = nullptr;
  int64_t key_stride = 0, value_stride = 0, length = 0, width = 0;
  float scale = 1.0f;
  const float* bias = nullptr;  // by distance, or null
};

void attend(const Head& head, std::vector<float>& scores, float* out) {
  const int64_t length = head.length;
  float largest = -INFINITY;
  for (int64_t t = 0; t < length; ++t) {
    float score = head.scale * dot_row(head.query, head.keys + t * head.key_stride, head.width);
    if (head.bias != nullptr) score += head.bias[length - 1 - t];
    scores[static_cast<size_t>(t)] = score;
    largest = std::max(largest, score);
  }
  float total = 0.0f;
  for (int64_t t = 0; t < length; ++t) {
    float& score = scores[static_cast<size_t>(t)];
    score = std::exp(score - largest);
    total += score;
  }
  std::fill(out, out + head.width, 0.0f);
  for (int64_t t = 0; t < length; ++t) {
    add_scaled_row(out, head.values + t * head.value_stride, scores[static_cast<size_t>(t)] / total, head.width);
  }
}

}  // namespace

at::Tensor decode_attention(const at::Tensor& q_RD, const at::Tensor& keys_PD, const at::Tensor& values_PD,
                            const std::vector<int64_t>& begin, const std::vector<int64_t>& length,
                            const DecodeHeads& options) {
  TXTSUM_CHECK(keys_PD.scalar_type() == at::kFloat && keys_PD.stride(1) == 1 && values_PD.stride(1) == 1);
  TXTSUM_CHECK(static_cast<int64_t>(begin.size()) == q_RD.size(0) && begin.size() == length.size());
  const at::Tensor q = q_RD.to(at::kFloat).contiguous();
  at::Tensor out = at::empty_like(q);
  const int64_t heads = options.heads, model_width = q.size(1), width = model_width / heads;
  const at::Tensor bias_HT = options.bias_HT.defined() ? options.bias_HT.contiguous() : at::Tensor();
  TXTSUM_CHECK(!bias_HT.defined() || (bias_HT.scalar_type() == at::kFloat && bias_HT.size(0) == heads));
  const float* bias = bias_HT.defined() ? bias_HT.const_data_ptr<float>() : nullptr;
  const int64_t distances = bias_HT.defined() ? bias_HT.size(1) : 0;
  const float* queries = q.const_data_ptr<float>();
  const float* keys = keys_PD.const_data_ptr<float>();
  const float* values = values_PD.const_data_ptr<float>();
  const int64_t key_stride = keys_PD.stride(0), value_stride = values_PD.stride(0);
  float* results = out.mutable_data_ptr<float>();
  at::parallel_for(0, q.size(0) * heads, 4, [&](int64_t first, int64_t last) {
    std::vector<float> scores;
    for (int64_t index = first; index < last; ++index) {
      const int64_t row = index / heads, channel = index % heads * width;
      const int64_t start = begin[static_cast<size_t>(row)], count = length[static_cast<size_t>(row)];
      if (scores.size() < static_cast<size_t>(count)) scores.resize(static_cast<size_t>(count));
      TXTSUM_CHECK(bias == nullptr || count <= distances, count);
      const Head head{queries + row * model_width + channel,
                      keys + start * key_stride + channel,
                      values + start * value_stride + channel,
                      key_stride,
                      value_stride,
                      count,
                      width,
                      static_cast<float>(options.scale),
                      bias != nullptr ? bias + index % heads * distances : nullptr};
      attend(head, scores, results + row * model_width + channel);
    }
  });
  return out.to(q_RD.scalar_type());
}

}  // namespace txtsum::ops
