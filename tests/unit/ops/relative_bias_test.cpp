// Attention with a bias by distance against float64: softmax written out, sequence by sequence, the table looked up for
// every pair of query and key.

#include "txtsum/ops/relative_bias.h"

#include <torch/csrc/autograd/autograd.h>

#include <tuple>

#include "op_fixture.h"
#include "txtsum/ops/decode_attention.h"
#include "txtsum/ops/varlen_attention.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kHeads = 4, kHeadWidth = 16, kModel = kHeads * kHeadWidth;

/// T5's bucket of key - query, as its authors wrote it.
int64_t bucket_of(int64_t relative, const ops::RelativeBuckets& buckets) {
  int64_t side = buckets.count, bucket = 0;
  if (buckets.bidirectional) {
    side /= 2;
    if (relative > 0) bucket += side;
    relative = std::abs(relative);
  } else {
    relative = -std::min<int64_t>(relative, 0);
  }
  const int64_t exact = side / 2;
  if (relative < exact) return bucket + relative;
  const float share =
      std::log(static_cast<float>(relative) / static_cast<float>(exact)) /
      static_cast<float>(std::log(static_cast<double>(buckets.max_distance) / static_cast<double>(exact)));
  return bucket + std::min(side - 1, exact + static_cast<int64_t>(share * static_cast<float>(side - exact)));
}

/// [H, length, length] in float64; gathers the table's gradient.
at::Tensor reference_bias(const at::Tensor& table, int64_t length, const ops::RelativeBuckets& buckets) {
  at::Tensor rows = at::empty({length, length}, at::kLong);
  for (int64_t q = 0; q < length; ++q) {
    for (int64_t k = 0; k < length; ++k) rows[q][k] = bucket_of(k - q, buckets);
  }
  return table.index_select(0, rows.view(-1).to(test_device())).view({length, length, kHeads}).permute({2, 0, 1});
}

at::Tensor reference_attention(const at::Tensor& qkv, const at::Tensor& bias, bool causal) {
  const int64_t width = qkv.size(1) / 3;
  const auto heads = [&](int64_t part) {
    return qkv.narrow(1, part * width, width).reshape({-1, kHeads, width / kHeads}).transpose(0, 1);
  };
  at::Tensor scores = at::matmul(heads(0), heads(1).transpose(1, 2)) * 0.5 + bias;
  if (causal) {
    const at::Tensor later = at::ones({qkv.size(0), qkv.size(0)}, on_test_device(at::kBool)).triu(1);
    scores = scores.masked_fill(later, -std::numeric_limits<double>::infinity());
  }
  return at::matmul(at::softmax(scores, -1), heads(2)).transpose(0, 1).reshape({-1, width});
}

using RelativeBias = OpTest;

TEST_F(RelativeBias, EveryDistanceHasTransformersBucket) {
  for (const ops::RelativeBuckets& buckets :
       {ops::RelativeBuckets{32, 128, true}, {32, 128, false}, {8, 7, true}, {8, 7, false}}) {
    const ops::RelativeBias bias = ops::make_relative_bias({}, buckets, at::kCPU);
    for (int64_t distance = -buckets.max_distance; distance <= buckets.max_distance; ++distance) {
      EXPECT_EQ(bias.bucket_of_E[distance + buckets.max_distance].item<int64_t>(), bucket_of(distance, buckets))
          << distance;
    }
    for (const int64_t far : {buckets.max_distance, 10 * buckets.max_distance, int64_t{100000}}) {
      EXPECT_EQ(bucket_of(-far, buckets), bucket_of(-buckets.max_distance, buckets));
      EXPECT_EQ(bucket_of(far, buckets), bucket_of(buckets.max_distance, buckets));
    }
  }
}

TEST_F(RelativeBias, SelfAttentionAndTheTablesGradientEqualFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({1, 7, 0, 33, 2, 70}, 9);
  std::vector<std::tuple<at::ScalarType, bool, int64_t>> cases;
  for (const at::ScalarType dtype : tested_types()) {
    // Heads of 64 have a kernel on a GPU.
    for (const int64_t width : {kModel, kHeads * 64}) {
      for (const bool causal : {false, true}) cases.emplace_back(dtype, causal, width);
    }
  }
  for (const auto& [dtype, causal, width] : cases) {
    const ops::RelativeBuckets buckets{12, 20, !causal};
    Parameters parameters;
    const ops::ParamRef table = parameters.add(draw({12, kHeads}, dtype));
    ops::AttentionOptions options;
    options.heads = kHeads;
    options.causal = causal;
    options.scale = 0.5;
    options.bias = ops::make_relative_bias(table, buckets, test_device());
    // Two layers share the table.
    const at::Tensor qkv = leaf(draw({113, 3 * width}, dtype)), other = leaf(draw({113, 3 * width}, dtype));
    const at::Tensor y = ops::varlen_self_attention(qkv, tokens, options),
                     z = ops::varlen_self_attention(other, tokens, options);
    const at::Tensor d_y = draw({113, width}, dtype), d_z = draw({113, width}, dtype);
    torch::autograd::backward({y, z}, {d_y, d_z});

    const at::Tensor Q = reference_leaf(qkv), O = reference_leaf(other), T = reference_leaf(table.value());
    std::vector<at::Tensor> ys, zs;
    for (size_t b = 0; b + 1 < tokens.offsets.size(); ++b) {
      const int64_t length = tokens.offsets[b + 1] - tokens.offsets[b];
      if (length == 0) continue;
      const at::Tensor bias = reference_bias(T, length, buckets);
      ys.push_back(reference_attention(Q.narrow(0, tokens.offsets[b], length), bias, causal));
      zs.push_back(reference_attention(O.narrow(0, tokens.offsets[b], length), bias, causal));
    }
    const at::Tensor Y = at::cat(ys), Z = at::cat(zs);
    torch::autograd::backward({Y, Z}, {d_y.to(at::kDouble), d_z.to(at::kDouble)});
    EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
    EXPECT_LT(error_of(z, Z), tolerance_of(dtype));
    EXPECT_LT(error_of(qkv.grad(), Q.grad()), tolerance_of(dtype));
    EXPECT_LT(error_of(other.grad(), O.grad()), tolerance_of(dtype));
    EXPECT_LT(error_of(table.gradient(), T.grad()), tolerance_of(dtype));
  }
}

TEST_F(RelativeBias, TheGradientOfTheTableRepeatsBitForBit) {
  const ops::RaggedTokens tokens = draw_tokens({40, 3, 70, 12}, 9);
  const at::Tensor qkv = draw({125, 3 * kModel}), d_out = draw({125, kModel}), values = draw({8, kHeads});
  std::vector<at::Tensor> gradients;
  for (int run = 0; run < 3; ++run) {
    Parameters parameters;
    const ops::ParamRef table = parameters.add(values);
    ops::AttentionOptions options;
    options.heads = kHeads;
    options.bias = ops::make_relative_bias(table, {8, 30, true}, test_device());
    options.dropout = key_of(tokens, 0.2);
    ops::varlen_self_attention(leaf(qkv), tokens, options).backward(d_out);
    gradients.push_back(table.gradient());
  }
  EXPECT_TRUE(at::equal(gradients[0], gradients[1]) && at::equal(gradients[0], gradients[2]));
}

/// The mask is a constant of the key, so central differences of the loss give the gradient.
TEST_F(RelativeBias, TheTablesGradientUnderDropoutEqualsCentralDifferences) {
  const ops::RaggedTokens tokens = draw_tokens({4, 9}, 9);
  const at::Tensor qkv = draw({13, 3 * kModel}), d_out = draw({13, kModel}), values = draw({8, kHeads});
  const auto loss = [&](const at::Tensor& table, Parameters& parameters) {
    ops::AttentionOptions options;
    options.heads = kHeads;
    options.causal = true;
    options.scale = 0.5;
    options.dropout = key_of(tokens, 0.3);
    options.bias = ops::make_relative_bias(parameters.add(table), {8, 6, false}, test_device());
    return (ops::varlen_self_attention(qkv, tokens, options).to(at::kDouble) * d_out).sum();
  };
  Parameters trained;
  loss(values, trained).backward();
  const double step = 1e-2;
  for (int trial = 0; trial < 8; ++trial) {
    const at::Tensor direction = draw({8, kHeads});
    const at::NoGradGuard no_grad;
    Parameters unused;
    const double up = loss(values + step * direction, unused).item<double>(),
                 down = loss(values - step * direction, unused).item<double>();
    const double wanted = (up - down) / (2 * step), found = (trained.gradient(0) * direction).sum().item<double>();
    EXPECT_NEAR(found, wanted, 2e-3 * std::max(1.0, std::abs(wanted)));
  }
}

TEST_F(RelativeBias, DecodingOneQueryEqualsTheLastRowOfFullAttention) {
  constexpr int64_t kCapacity = 24, kRows = 3;
  const ops::RelativeBuckets buckets{8, 10, false};
  const std::vector<int64_t> lengths{1, 24, 9};
  for (const at::ScalarType dtype : tested_types()) {
    if (test_device().is_cpu() && dtype != at::kFloat) continue;  // its caches are fp32
    Parameters parameters;
    const ops::ParamRef table = parameters.add(draw({8, kHeads}, dtype));
    const ops::RelativeBias bias = ops::make_relative_bias(table, buckets, test_device());
    const ops::DecodeHeads heads{kHeads, 0.5, ops::bias_of_distances(bias, 1 - kCapacity, kCapacity).flip(1)};
    const at::Tensor past = draw({kRows * kCapacity, 3 * kModel}, dtype);
    std::vector<int64_t> begin, last;
    for (int64_t r = 0; r < kRows; ++r) {
      begin.push_back(r * kCapacity);
      last.push_back(begin.back() + lengths[static_cast<size_t>(r)] - 1);
    }
    const at::Tensor qkv = past.index_select(0, at::tensor(last, at::kLong).to(test_device()));
    const at::Tensor cache = past.narrow(1, kModel, 2 * kModel).contiguous();
    at::Tensor y;
    if (test_device().is_cpu()) {
      y = ops::decode_attention(qkv.narrow(1, 0, kModel), cache.narrow(1, 0, kModel), cache.narrow(1, kModel, kModel),
                                begin, lengths, heads);
    } else {
      const at::Tensor origins = at::arange(kRows, at::kInt).unsqueeze(1).repeat({1, kCapacity}).to(test_device());
      const at::Tensor held = (at::tensor(lengths, at::kLong) - 1).to(at::kInt).to(test_device());
      y = ops::decode_self_attention(qkv, cache, {origins, held}, heads);
    }
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t length = lengths[static_cast<size_t>(r)];
      const at::Tensor all = past.narrow(0, r * kCapacity, length).to(at::kDouble);
      const at::Tensor wanted =
          reference_attention(all, reference_bias(table.value().to(at::kDouble), length, buckets), /*causal=*/true);
      EXPECT_LT(error_of(y[r], wanted[length - 1]), tolerance_of(dtype)) << "row " << r;
    }
  }
}

}  // namespace
}  // namespace txtsum::tests
