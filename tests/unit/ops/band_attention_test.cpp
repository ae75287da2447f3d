// Attention over a band and global tokens against float64: a softmax under a dense mask, sequence by sequence.

#include "txtsum/ops/band_attention.h"

#include "op_fixture.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kHeads = 2, kHeadWidth = 16, kModel = kHeads * kHeadWidth;

using BandAttention = OpTest;

at::Tensor reference(const at::Tensor& qkv, int64_t window, const std::vector<int64_t>& globals, double scale) {
  const int64_t n = qkv.size(0);
  const at::Tensor parts = qkv.view({n, 3, kHeads, kHeadWidth}).permute({1, 2, 0, 3});
  const at::Tensor place = at::arange(n, on_test_device(at::kLong));
  at::Tensor seen = (place.unsqueeze(1) - place).abs().le(window);
  for (const int64_t g : globals) seen = seen.logical_or(place.eq(g).unsqueeze(0));
  at::Tensor scores = at::matmul(parts[0], parts[1].transpose(1, 2)) * scale;
  scores = scores.masked_fill(seen.logical_not(), -std::numeric_limits<double>::infinity());
  return at::matmul(at::softmax(scores, -1), parts[2]).transpose(0, 1).reshape({n, kModel});
}

/// Lengths around the window's edges; global tokens at the start, in the middle, next to each other, at the end; one
/// sequence has none, one is empty.
TEST_F(BandAttention, EqualsADenseMaskInFloat64) {
  constexpr int64_t kWindow = 9;
  const std::vector<int64_t> lengths{1, kWindow - 1, kWindow, kWindow + 1, 2 * kWindow + 3, 0, 300, 25};
  const std::vector<std::vector<int64_t>> global_positions{{0}, {0}, {0, 8}, {3}, {0, 1, 20}, {}, {0, 140, 141, 299},
                                                           {}};
  const ops::RaggedTokens tokens = draw_tokens(lengths, 9);
  std::vector<int64_t> rows;
  for (size_t b = 0; b < lengths.size(); ++b) {
    for (const int64_t position : global_positions[b]) rows.push_back(tokens.offsets[b] + position);
  }
  for (const at::ScalarType dtype : tested_types()) {
    for (const bool with_globals : {true, false}) {
      SCOPED_TRACE(std::string(c10::toString(dtype)) + (with_globals ? " with globals" : ""));
      const ops::GlobalTokens globals = ops::make_global_tokens(with_globals ? rows : std::vector<int64_t>(), tokens);
      const at::Tensor qkv = leaf(draw({tokens.tokens(), 3 * kModel}, dtype)),
                       d_out = draw({tokens.tokens(), kModel}, dtype);
      const at::Tensor y = ops::band_attention(qkv, {}, tokens, globals, {kHeads, kWindow, 0.25});
      y.backward(d_out);
      const at::Tensor Q = reference_leaf(qkv);
      std::vector<at::Tensor> parts;
      for (size_t b = 0; b < lengths.size(); ++b) {
        if (lengths[b] == 0) continue;
        parts.push_back(reference(Q.slice(0, tokens.offsets[b], tokens.offsets[b + 1]), kWindow,
                                  with_globals ? global_positions[b] : std::vector<int64_t>(), 0.25));
      }
      const at::Tensor Y = at::cat(parts);
      Y.backward(d_out.to(at::kDouble));
      EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
      EXPECT_LT(error_of(qkv.grad(), Q.grad()), tolerance_of(dtype));
    }
  }
}

/// Of several pieces of queries on a GPU.
TEST_F(BandAttention, ManyGlobalTokensFarAwayEqualADenseMaskInFloat64) {
  constexpr int64_t kWindow = 5, kLength = 700;
  const ops::RaggedTokens tokens = draw_tokens({kLength}, 9);
  std::vector<int64_t> rows;
  for (int64_t row = 3; row < kLength; row += 16) rows.push_back(row);
  for (const at::ScalarType dtype : tested_types()) {
    SCOPED_TRACE(c10::toString(dtype));
    const at::Tensor qkv = leaf(draw({kLength, 3 * kModel}, dtype)), d_out = draw({kLength, kModel}, dtype);
    const at::Tensor y =
        ops::band_attention(qkv, {}, tokens, ops::make_global_tokens(rows, tokens), {kHeads, kWindow, 0.25});
    y.backward(d_out);
    const at::Tensor Q = reference_leaf(qkv), Y = reference(Q, kWindow, rows, 0.25);
    Y.backward(d_out.to(at::kDouble));
    EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
    EXPECT_LT(error_of(qkv.grad(), Q.grad()), tolerance_of(dtype));
  }
}

TEST_F(BandAttention, AWindowWiderThanTheTextIsFullAttention) {
  const ops::RaggedTokens tokens = draw_tokens({40, 7}, 9);
  const at::Tensor qkv = draw({47, 3 * kModel});
  const at::Tensor banded =
      ops::band_attention(qkv, {}, tokens, ops::make_global_tokens({0, 40}, tokens), {kHeads, 64, 0.25});
  const at::Tensor Q = qkv.to(at::kDouble);
  const at::Tensor full =
      at::cat({reference(Q.slice(0, 0, 40), 40, {}, 0.25), reference(Q.slice(0, 40), 40, {}, 0.25)});
  EXPECT_LT(error_of(banded, full), kOpTolerance);
}

}  // namespace
}  // namespace txtsum::tests
