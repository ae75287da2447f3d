// Attention against float64: softmax written out, sequence by sequence.

#include "op_fixture.h"
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

void expect_self_attention_like_float64(const ops::RaggedTokens& tokens, const ops::AttentionOptions& options,
                                        at::ScalarType dtype) {
  const std::vector<int64_t>& offsets = tokens.offsets;
  const at::Tensor qkv = leaf(draw({offsets.back(), 3 * kModel}, dtype)), d_out = draw({offsets.back(), kModel}, dtype);
  const at::Tensor y = ops::varlen_self_attention(qkv, tokens, options);
  y.backward(d_out);
  const at::Tensor Q = reference_leaf(qkv);
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    if (offsets[b] == offsets[b + 1]) continue;
    const at::Tensor rows = Q.slice(0, offsets[b], offsets[b + 1]);
    parts.push_back(reference_attention(rows.slice(1, 0, kModel), rows.slice(1, kModel, 2 * kModel),
                                        rows.slice(1, 2 * kModel), options.causal, options.scale));
  }
  const at::Tensor Y = at::cat(parts);
  Y.backward(d_out.to(at::kDouble));
  EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
  EXPECT_LT(error_of(qkv.grad(), Q.grad()), tolerance_of(dtype));
}

void expect_cross_attention_like_float64(const ops::RaggedTokens& target, const ops::RaggedTokens& source,
                                         const ops::AttentionOptions& options, at::ScalarType dtype) {
  const std::vector<int64_t>&q_offsets = target.offsets, &kv_offsets = source.offsets;
  const at::Tensor q = leaf(draw({target.tokens(), kModel}, dtype)),
                   kv = leaf(draw({source.tokens(), 2 * kModel}, dtype)),
                   d_out = draw({target.tokens(), kModel}, dtype);
  const at::Tensor y = ops::varlen_cross_attention(q, target, kv, source, options);
  y.backward(d_out);
  const at::Tensor Q = reference_leaf(q), K = reference_leaf(kv);
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b + 1 < q_offsets.size(); ++b) {
    if (q_offsets[b] == q_offsets[b + 1]) continue;
    const at::Tensor rows = K.slice(0, kv_offsets[b], kv_offsets[b + 1]);
    parts.push_back(reference_attention(Q.slice(0, q_offsets[b], q_offsets[b + 1]), rows.slice(1, 0, kModel),
                                        rows.slice(1, kModel), false, options.scale));
  }
  const at::Tensor Y = at::cat(parts);
  Y.backward(d_out.to(at::kDouble));
  EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
  EXPECT_LT(error_of(q.grad(), Q.grad()), tolerance_of(dtype));
  EXPECT_LT(error_of(kv.grad(), K.grad()), tolerance_of(dtype));
}

using Attention = OpTest;

TEST_F(Attention, SelfAttentionOfRaggedSequencesEqualsFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({1, 7, 33, 2, 70}, 9);
  for (const at::ScalarType dtype : tested_types()) {
    for (const auto& [causal, reference] : {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
      SCOPED_TRACE("causal " + std::to_string(causal) + ", reference " + std::to_string(reference));
      ops::AttentionOptions options = options_of(causal);
      options.reference = reference;
      expect_self_attention_like_float64(tokens, options, dtype);
    }
  }
}

TEST_F(Attention, CrossAttentionOfRaggedSequencesEqualsFloat64) {
  const ops::RaggedTokens target = draw_tokens({3, 1, 17}, 9), source = draw_tokens({50, 1, 9}, 9);
  for (const at::ScalarType dtype : tested_types()) {
    for (const bool reference : {false, true}) {
      SCOPED_TRACE("reference " + std::to_string(reference));
      ops::AttentionOptions options = options_of(false);
      options.reference = reference;
      expect_cross_attention_like_float64(target, source, options, dtype);
    }
  }
}

/// Batches of one shape: the longest sequence is only bounded, the last places are empty, and what is planned for the
/// first batch must serve the second.
TEST_F(Attention, AShapeThatRecursEqualsFloat64) {
  const auto recurring = [](const std::vector<int64_t>& lengths, int64_t longest) {
    ops::RaggedTokens tokens = draw_tokens(lengths, 9);
    tokens.longest = longest;
    tokens.recurs = true;
    return tokens;
  };
  for (const at::ScalarType dtype : tested_types()) {
    for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{130, 1, 64, 5, 0, 0}, {2, 3, 195, 0, 0, 0}}) {
      const ops::RaggedTokens tokens = recurring(lengths, 256);
      std::vector<int64_t> shorter;
      for (const int64_t length : lengths) shorter.push_back((length + 2) / 3);
      const ops::RaggedTokens target = recurring(shorter, 128);
      expect_self_attention_like_float64(tokens, options_of(false), dtype);
      expect_self_attention_like_float64(tokens, options_of(true), dtype);
      expect_cross_attention_like_float64(target, tokens, options_of(false), dtype);
    }
  }
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
  for (const at::ScalarType dtype : tested_types()) {
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
    EXPECT_LT(error_of(heads(qkv.grad().slice(1, 2 * kModel)), wanted), tolerance_of(dtype));
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
  if (!test_device().is_cpu()) GTEST_SKIP() << "the GPU has decode_self_attention and decode_cross_attention";
  const at::Tensor q = draw({3, kModel}), keys = draw({40, kModel}), values = draw({40, kModel});
  const std::vector<int64_t> begin{0, 12, 7}, length{1, 28, 9};
  const at::Tensor y = ops::decode_attention(q, keys, values, begin, length, {kHeads, 0.25});
  for (size_t r = 0; r < begin.size(); ++r) {
    const auto rows = [&](const at::Tensor& x) { return x.slice(0, begin[r], begin[r] + length[r]).to(at::kDouble); };
    const auto row = static_cast<int64_t>(r);
    const at::Tensor wanted =
        reference_attention(q.slice(0, row, row + 1).to(at::kDouble), rows(keys), rows(values), false, 0.25);
    EXPECT_LT(error_of(y.slice(0, row, row + 1), wanted), kOpTolerance);
  }
}

/// Rows that took over from others read positions from those rows' caches.
TEST_F(Attention, DecodingOnADeviceFollowsARowsPastThroughOtherRows) {
  if (test_device().is_cpu()) GTEST_SKIP() << "needs a GPU";
  constexpr int64_t kRows = 6, kCapacity = 21;
  for (const at::ScalarType dtype : tested_types()) {
    const at::Tensor qkv = draw({kRows, 3 * kModel}, dtype), cache = draw({kRows * kCapacity, 2 * kModel}, dtype);
    const at::Tensor origins = at::randint(kRows, {kRows, kCapacity}, at::kInt);
    const at::Tensor lengths = at::tensor({0, 1, 7, 20, 13, 4}, at::kInt);
    // A place that a row fills in this call is no row's past.
    for (int64_t r = 0; r < kRows; ++r) origins.select(1, lengths[r].item<int64_t>()).fill_((r + 1) % kRows);
    const at::Tensor before = cache.clone();
    const at::Tensor y =
        ops::decode_self_attention(qkv, cache, {origins.to(test_device()), lengths.to(test_device())}, {kHeads, 0.25});
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t length = lengths[r].item<int64_t>();
      std::vector<at::Tensor> past;
      for (int64_t t = 0; t < length; ++t) past.push_back(before[origins[r][t].item<int64_t>() * kCapacity + t]);
      past.push_back(qkv[r].slice(0, kModel));
      EXPECT_TRUE(at::equal(cache[r * kCapacity + length], past.back()));
      const at::Tensor kv = at::stack(past).to(at::kDouble);
      const at::Tensor wanted = reference_attention(qkv.slice(0, r, r + 1).slice(1, 0, kModel).to(at::kDouble),
                                                    kv.slice(1, 0, kModel), kv.slice(1, kModel), false, 0.25);
      EXPECT_LT(error_of(y.slice(0, r, r + 1), wanted), tolerance_of(dtype));
    }
  }
}

TEST_F(Attention, DecodingOnADeviceAttendsToEachSlotsSource) {
  if (test_device().is_cpu()) GTEST_SKIP() << "needs a GPU";
  const std::vector<std::vector<int64_t>> sources{{5, 0, 40, 1}, {1024, 1025, 1, 4500}, {1023, 0, 2048, 2049}};
  for (const at::ScalarType dtype : tested_types()) {
    for (const auto& [beams, source] : {std::pair(1, sources[0]),
                                        {6, sources[0]},
                                        {11, sources[0]},
                                        {4, sources[1]},
                                        {6, sources[1]},
                                        {1, sources[2]},
                                        {9, sources[2]}}) {
      const int64_t capacity = *std::max_element(source.begin(), source.end());
      const at::Tensor lengths = at::tensor(source, at::kInt);
      const at::Tensor q = draw({4 * beams, kModel}, dtype), cache = draw({4 * capacity, 2 * kModel}, dtype);
      const at::Tensor y = ops::decode_cross_attention(q, cache, lengths.to(test_device()), {kHeads, 0.25});
      for (int64_t slot = 0; slot < 4; ++slot) {
        const at::Tensor rows = y.slice(0, slot * beams, (slot + 1) * beams);
        const int64_t length = lengths[slot].item<int64_t>();
        if (length == 0) {
          EXPECT_EQ(rows.abs().max().item<double>(), 0.0);
          continue;
        }
        const at::Tensor kv = cache.slice(0, slot * capacity, slot * capacity + length).to(at::kDouble);
        const at::Tensor wanted = reference_attention(q.slice(0, slot * beams, (slot + 1) * beams).to(at::kDouble),
                                                      kv.slice(1, 0, kModel), kv.slice(1, kModel), false, 0.25);
        EXPECT_LT(error_of(rows, wanted), tolerance_of(dtype));
      }
    }
  }
}

}  // namespace
}  // namespace txtsum::tests
