// Attention against float64: softmax written out, sequence by sequence.

#include "op_fixture.h"
#include "support/tolerances.h"
#include "txtsum/ops/decode_attention.h"
#include "txtsum/ops/varlen_attention.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kHeads = 4, kHeadWidth = 16, kModel = kHeads * kHeadWidth;

/// Attention of one sequence, [m, D] by [n, D].
at::Tensor reference_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                               double scale) {
  const auto heads = [](const at::Tensor& x) { return x.reshape({-1, kHeads, kHeadWidth}).transpose(0, 1); };
  at::Tensor scores = at::matmul(heads(q), heads(k).transpose(1, 2)) * scale;
  if (causal) {
    const at::Tensor later = at::ones({q.size(0), k.size(0)}, on_test_device(at::kBool)).triu(1);
    scores = scores.masked_fill(later, -std::numeric_limits<double>::infinity());
  }
  const at::Tensor exponents = (scores - std::get<0>(scores.max(-1, true))).exp();
  const at::Tensor mixed = at::matmul(exponents / exponents.sum(-1, true), heads(v));
  return mixed.transpose(0, 1).reshape({-1, kModel});
}

ops::AttentionOptions options_of(bool causal) {
  ops::AttentionOptions options;
  options.heads = kHeads;
  options.causal = causal;
  options.scale = 0.25;
  return options;
}

using Attention = OpTest;

TEST_F(Attention, SelfAttentionOfRaggedSequencesEqualsFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({1, 7, 33, 2, 70}, 9);
  const std::vector<int64_t>& offsets = tokens.offsets;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double tolerance = dtype == at::kFloat ? kOpTolerance : kOpToleranceBf16;
    for (const bool causal : {false, true}) {
      const at::Tensor qkv = leaf(draw({offsets.back(), 3 * kModel}, dtype)),
                       d_out = draw({offsets.back(), kModel}, dtype);
      const at::Tensor y = ops::varlen_self_attention(qkv, tokens, options_of(causal));
      y.backward(d_out);
      const at::Tensor Q = reference_leaf(qkv);
      std::vector<at::Tensor> parts;
      for (size_t b = 0; b + 1 < offsets.size(); ++b) {
        const at::Tensor rows = Q.slice(0, offsets[b], offsets[b + 1]);
        parts.push_back(reference_attention(rows.slice(1, 0, kModel), rows.slice(1, kModel, 2 * kModel),
                                            rows.slice(1, 2 * kModel), causal, 0.25));
      }
      const at::Tensor Y = at::cat(parts);
      Y.backward(d_out.to(at::kDouble));
      EXPECT_LT(error_of(y, Y), tolerance) << "causal " << causal;
      EXPECT_LT(error_of(qkv.grad(), Q.grad()), tolerance) << "causal " << causal;
    }
  }
}

TEST_F(Attention, CrossAttentionOfRaggedSequencesEqualsFloat64) {
  const ops::RaggedTokens target = draw_tokens({3, 1, 17}, 9), source = draw_tokens({50, 1, 9}, 9);
  const std::vector<int64_t>&q_offsets = target.offsets, &kv_offsets = source.offsets;
  const at::Tensor q = leaf(draw({21, kModel})), kv = leaf(draw({60, 2 * kModel})), d_out = draw({21, kModel});
  const at::Tensor y = ops::varlen_cross_attention(q, target, kv, source, options_of(false));
  y.backward(d_out);
  const at::Tensor Q = reference_leaf(q), K = reference_leaf(kv);
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b + 1 < q_offsets.size(); ++b) {
    const at::Tensor rows = K.slice(0, kv_offsets[b], kv_offsets[b + 1]);
    parts.push_back(reference_attention(Q.slice(0, q_offsets[b], q_offsets[b + 1]), rows.slice(1, 0, kModel),
                                        rows.slice(1, kModel), false, 0.25));
  }
  const at::Tensor Y = at::cat(parts);
  Y.backward(d_out.to(at::kDouble));
  EXPECT_LT(error_of(y, Y), kOpTolerance);
  EXPECT_LT(error_of(q.grad(), Q.grad()), kOpTolerance);
  EXPECT_LT(error_of(kv.grad(), K.grad()), kOpTolerance);
}

/// With values that are one-hot in the key's position, attention's result is the dropped probabilities themselves.
TEST_F(Attention, ProbabilityDropoutDropsTheRightShareAndRepeats) {
  constexpr int64_t kTokens = kHeadWidth;
  const ops::RaggedTokens tokens = draw_tokens({kTokens}, 9);
  at::Tensor qkv = draw({kTokens, 3 * kModel});
  qkv.slice(1, 2 * kModel).copy_(at::eye(kTokens, on_test_device()).repeat({1, kHeads}));
  const at::Tensor plain = ops::varlen_self_attention(qkv, tokens, options_of(false));
  int64_t dropped = 0, all = 0;
  for (int64_t update = 0; update < 40; ++update) {
    ops::AttentionOptions options = options_of(false);
    options.dropout = key_of(tokens, 0.25, update);
    const at::Tensor y = ops::varlen_self_attention(qkv, tokens, options);
    EXPECT_TRUE(at::equal(y, ops::varlen_self_attention(qkv, tokens, options)));
    const at::Tensor kept = y.ne(0);
    EXPECT_TRUE(at::allclose(y.masked_select(kept), plain.masked_select(kept) / 0.75, 1e-5, 1e-6));
    dropped += kept.logical_not().sum().item<int64_t>();
    all += y.numel();
  }
  const double sigma = std::sqrt(0.25 * 0.75 / static_cast<double>(all));
  EXPECT_NEAR(static_cast<double>(dropped) / static_cast<double>(all), 0.25, 5 * sigma);
}

/// With one-hot values the result is the dropped probabilities P, and the values' gradient is P^T d_out.
TEST_F(Attention, BackwardUsesTheMaskOfForward) {
  constexpr int64_t kTokens = kHeadWidth;
  const ops::RaggedTokens tokens = draw_tokens({kTokens, kTokens}, 9);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    ops::AttentionOptions options = options_of(false);
    options.dropout = key_of(tokens, 0.4);
    const at::Tensor qkv = draw({2 * kTokens, 3 * kModel}, dtype), d_out = draw({2 * kTokens, kModel}, dtype);
    qkv.slice(1, 2 * kModel).copy_(at::eye(kTokens, on_test_device(dtype)).repeat({2, kHeads}));
    qkv.set_requires_grad(true);
    const at::Tensor y = ops::varlen_self_attention(qkv, tokens, options);
    y.backward(d_out);
    const auto heads = [](const at::Tensor& x) {
      return x.to(at::kDouble).view({2, kTokens, kHeads, kHeadWidth}).transpose(1, 2);
    };
    const at::Tensor wanted = at::matmul(heads(y.detach()).transpose(2, 3), heads(d_out));
    EXPECT_LT(error_of(heads(qkv.grad().slice(1, 2 * kModel)), wanted),
              dtype == at::kFloat ? kOpTolerance : kOpToleranceBf16);
  }
}

/// The mask is a constant of the key, so central differences of the loss give the gradient.
TEST_F(Attention, TheGradientUnderProbabilityDropoutEqualsCentralDifferences) {
  const ops::RaggedTokens tokens = draw_tokens({4, 7}, 9);
  ops::AttentionOptions options = options_of(true);
  options.dropout = key_of(tokens, 0.3);
  const at::Tensor qkv = leaf(draw({11, 3 * kModel})), d_out = draw({11, kModel});
  const auto loss = [&](const at::Tensor& x) {
    return (ops::varlen_self_attention(x, tokens, options).to(at::kDouble) * d_out).sum();
  };
  loss(qkv).backward();
  const double step = 1e-2;
  for (int trial = 0; trial < 12; ++trial) {
    const at::Tensor direction = draw({11, 3 * kModel});
    const at::NoGradGuard no_grad;
    const double wanted = ((loss(qkv + step * direction) - loss(qkv - step * direction)) / (2 * step)).item<double>();
    const double found = (qkv.grad() * direction).sum().item<double>();
    EXPECT_NEAR(found, wanted, 2e-3 * std::max(1.0, std::abs(wanted)));
  }
}

TEST_F(Attention, DecodingOneQueryEqualsTheLastRowOfFullAttention) {
  if (!test_device().is_cpu()) GTEST_SKIP() << "decode_attention has no GPU implementation";
  const at::Tensor q = draw({3, kModel}), keys = draw({40, kModel}), values = draw({40, kModel});
  const std::vector<int64_t> begin{0, 12, 7}, length{1, 28, 9};
  const at::Tensor y = ops::decode_attention(q, keys, values, begin, length, kHeads, 0.25);
  for (size_t r = 0; r < begin.size(); ++r) {
    const auto rows = [&](const at::Tensor& x) { return x.slice(0, begin[r], begin[r] + length[r]).to(at::kDouble); };
    const auto row = static_cast<int64_t>(r);
    const at::Tensor wanted =
        reference_attention(q.slice(0, row, row + 1).to(at::kDouble), rows(keys), rows(values), false, 0.25);
    EXPECT_LT(error_of(y.slice(0, row, row + 1), wanted), kOpTolerance);
  }
}

}  // namespace
}  // namespace txtsum::tests
