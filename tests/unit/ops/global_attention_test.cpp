// Attention of global tokens by projections of their own against float64: keys and values made for every token, softmax
// sequence by sequence. And where the first tokens lie.

#include "txtsum/ops/global_attention.h"

#include "op_fixture.h"
#include "txtsum/ops/band_attention.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kHeads = 2, kHeadWidth = 16, kModel = kHeads * kHeadWidth;
constexpr double kScale = 0.25;

using GlobalAttention = OpTest;

std::vector<at::Tensor> draw_projections(at::ScalarType dtype) {
  const double small = 1.0 / std::sqrt(static_cast<double>(kModel));
  return {draw({kModel, kModel}, dtype) * small, draw({kModel}, dtype), draw({2 * kModel, kModel}, dtype) * small,
          draw({2 * kModel}, dtype)};
}

/// Weights as in GlobalProjections.
at::Tensor reference(const at::Tensor& x, const std::vector<at::Tensor>& weights, const std::vector<int64_t>& rows,
                     const ops::RaggedTokens& tokens) {
  const at::Tensor q = at::addmm(weights[1], x, weights[0].t()), kv = at::addmm(weights[3], x, weights[2].t());
  const auto heads = [&](const at::Tensor& part) { return part.reshape({-1, kHeads, kHeadWidth}).transpose(0, 1); };
  std::vector<at::Tensor> seen;
  for (const int64_t row : rows) {
    size_t b = 0;
    while (tokens.offsets[b + 1] <= row) ++b;
    const at::Tensor own = kv.slice(0, tokens.offsets[b], tokens.offsets[b + 1]);
    const at::Tensor scores =
        at::matmul(heads(q.slice(0, row, row + 1)), heads(own.slice(1, 0, kModel)).transpose(1, 2)) * kScale;
    seen.push_back(
        at::matmul(at::softmax(scores, -1), heads(own.slice(1, kModel))).transpose(0, 1).reshape({1, kModel}));
  }
  return at::cat(seen);
}

void expect_equal(const ops::RaggedTokens& tokens, const std::vector<int64_t>& rows, at::ScalarType dtype) {
  SCOPED_TRACE(std::string(c10::toString(dtype)) + ", " + std::to_string(rows.size()) + " global tokens");
  const ops::GlobalTokens globals = ops::make_global_tokens(rows, tokens);
  const std::vector<at::Tensor> weights = draw_projections(dtype);
  const at::Tensor x = leaf(draw({tokens.tokens(), kModel}, dtype)),
                   d_seen = draw({static_cast<int64_t>(rows.size()), kModel}, dtype);
  Parameters parameters;
  std::vector<ops::ParamRef> refs;
  for (const at::Tensor& weight : weights) refs.push_back(parameters.add(weight));
  const at::Tensor seen =
      ops::global_attention(x, tokens, globals, {refs[0], refs[1], refs[2], refs[3]}, kHeads, kScale);
  seen.backward(d_seen);

  const at::Tensor X = reference_leaf(x);
  std::vector<at::Tensor> Weights;
  for (const at::Tensor& weight : weights) Weights.push_back(reference_leaf(weight));
  const at::Tensor Seen = reference(X, Weights, rows, tokens);
  Seen.backward(d_seen.to(at::kDouble));
  EXPECT_LT(error_of(seen, Seen), tolerance_of(dtype));
  EXPECT_LT(error_of(x.grad(), X.grad()), tolerance_of(dtype));
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_LT(error_of(parameters.gradient(refs[i].index), Weights[i].grad()), tolerance_of(dtype)) << "weight " << i;
  }
}

/// Sequences of one token, with several global tokens, with none, and an empty one.
TEST_F(GlobalAttention, FewQueriesEqualFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({1, 40, 0, 7, 130}, 9);
  for (const at::ScalarType dtype : tested_types()) expect_equal(tokens, {0, 1, 5, 40, 48, 177}, dtype);
}

TEST_F(GlobalAttention, MoreQueriesThanAHeadIsWideEqualFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({60, 33}, 9);
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < 93; row += 4) rows.push_back(row);
  ASSERT_GT(static_cast<int64_t>(rows.size()), kHeadWidth);
  for (const at::ScalarType dtype : tested_types()) expect_equal(tokens, rows, dtype);
}

TEST_F(GlobalAttention, WhatIsSeenTakesThePlaceOfGlobalRowsAndGetsTheirGradient) {
  const ops::RaggedTokens tokens = draw_tokens({30, 70}, 9);
  const ops::GlobalTokens globals = ops::first_tokens(tokens);
  for (const at::ScalarType dtype : tested_types()) {
    SCOPED_TRACE(c10::toString(dtype));
    const ops::BandOptions options{kHeads, /*window=*/6, kScale};
    const at::Tensor seen = leaf(draw({2, kModel}, dtype)), d_out = draw({100, kModel}, dtype);
    const at::Tensor qkv = leaf(draw({100, 3 * kModel}, dtype)), alone = leaf(qkv);
    const at::Tensor out = ops::band_attention(qkv, seen, tokens, globals, options);
    out.backward(d_out);
    EXPECT_TRUE(at::equal(out.index_select(0, globals.rows_G), seen));
    EXPECT_TRUE(at::equal(seen.grad(), d_out.index_select(0, globals.rows_G)));
    const at::Tensor plain = ops::band_attention(alone, {}, tokens, globals, options);
    plain.backward(d_out.index_fill(0, globals.rows_G, 0.0));
    EXPECT_TRUE(at::equal(out.slice(0, 1, 30), plain.slice(0, 1, 30)));
    EXPECT_TRUE(at::equal(out.slice(0, 31), plain.slice(0, 31)));
    EXPECT_LT(error_of(qkv.grad(), alone.grad().to(at::kDouble)), tolerance_of(dtype));
  }
}

TEST_F(GlobalAttention, FirstTokensAreThoseOfSequencesThatHaveOne) {
  for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{3, 1, 5}, {0, 3, 0, 1, 5, 0}}) {
    const ops::RaggedTokens tokens = draw_tokens(lengths, 9);
    const ops::GlobalTokens first = ops::first_tokens(tokens), made = ops::make_global_tokens({0, 3, 4}, tokens);
    EXPECT_EQ(first.count, 3);
    EXPECT_EQ(first.tokens.longest, 1);
    EXPECT_EQ(first.tokens.offsets, made.tokens.offsets);
    EXPECT_TRUE(at::equal(first.rows_G, made.rows_G));
    EXPECT_TRUE(at::equal(first.tokens.offsets_B1, made.tokens.offsets_B1));
    EXPECT_TRUE(at::equal(first.sequence_of_G, made.sequence_of_G));
    EXPECT_TRUE(at::equal(first.sequence_of_N, made.sequence_of_N));
    const auto sequence_of = [&](int64_t token) { return first.sequence_of_N[token].item<int64_t>(); };
    for (int64_t token = 0; token < tokens.tokens(); ++token) {
      const auto b = static_cast<size_t>(sequence_of(token));
      EXPECT_LE(tokens.offsets[b], token);
      EXPECT_GT(tokens.offsets[b + 1], token);
    }
  }
}

}  // namespace
}  // namespace txtsum::tests
