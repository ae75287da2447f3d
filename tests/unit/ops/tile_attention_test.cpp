// Attention by tiles on a GPU, with a bias by distance and causal, against float64. What it makes of a plan's lists is
// in block_sparse_attention_test.cpp.

#include "txtsum/ops/tile_attention.h"

#include <limits>

#include "op_fixture.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kHeads = 3;

struct Case {
  int64_t head_width = 64;
  bool causal = false;
  int64_t range = -1;  ///< Of the bias; -1: none.
  double scale = 0.125;
  std::vector<int64_t> lengths;
};

/// One sequence, [n, 3 D], and the whole table of biases.
at::Tensor reference(const at::Tensor& qkv, const at::Tensor& bias, const Case& test) {
  const int64_t n = qkv.size(0);
  const at::Tensor parts = qkv.view({n, 3, kHeads, test.head_width}).permute({1, 2, 0, 3});
  at::Tensor scores = at::matmul(parts[0], parts[1].transpose(1, 2)) * test.scale;
  const at::Tensor place = at::arange(n, on_test_device(at::kLong)), distance = place - place.unsqueeze(1);
  if (test.range >= 0) {
    const at::Tensor columns = distance.clamp(-test.range, test.range) + test.range;
    scores = scores + bias.index_select(1, columns.flatten()).view({kHeads, n, n});
  }
  if (test.causal) scores = scores.masked_fill(distance.gt(0), -std::numeric_limits<double>::infinity());
  return at::matmul(at::softmax(scores, -1), parts[2]).transpose(0, 1).reshape({n, kHeads * test.head_width});
}

ops::TileAttentionOptions options_of(const Case& test, const ops::RaggedTokens& tokens, const at::Tensor& bias) {
  ops::TileAttentionOptions options;
  options.heads = kHeads;
  options.scale = test.scale;
  options.causal = test.causal;
  options.offsets_B1 = tokens.offsets_B1;
  options.longest = tokens.longest;
  if (test.range >= 0) options.bias_HW = bias;
  return options;
}

/// Memory that is taken next holds what is no number.
void poison() {
  for (const int64_t size : {int64_t{1} << 12, int64_t{1} << 16, int64_t{1} << 19, int64_t{1} << 22}) {
    at::full({size}, std::numeric_limits<double>::quiet_NaN(), on_test_device());
  }
}

void expect_equal_to_float64(const Case& test, at::ScalarType dtype) {
  SCOPED_TRACE(std::string(c10::toString(dtype)) + ", heads of " + std::to_string(test.head_width) +
               (test.causal ? ", causal" : "") + ", range " + std::to_string(test.range));
  const int64_t width = kHeads * test.head_width;
  const ops::RaggedTokens tokens = draw_tokens(test.lengths, 9);
  const at::Tensor qkv = draw({tokens.tokens(), 3 * width}, dtype), d_out = draw({tokens.tokens(), width}, dtype),
                   bias = draw({kHeads, 2 * std::max<int64_t>(test.range, 0) + 1});
  const ops::TileAttentionOptions options = options_of(test, tokens, bias);
  poison();
  const ops::TileAttentionResult result = ops::tile_attention(qkv, options);
  poison();
  const ops::TileAttentionGradients gradients = ops::tile_attention_backward(d_out, qkv, result, options);

  const at::Tensor Q = reference_leaf(qkv), R = reference_leaf(bias);
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b < test.lengths.size(); ++b) {
    if (test.lengths[b] > 0) parts.push_back(reference(Q.slice(0, tokens.offsets[b], tokens.offsets[b + 1]), R, test));
  }
  const at::Tensor Y = at::cat(parts);
  Y.backward(d_out.to(at::kDouble));
  EXPECT_LT(error_of(result.out_ND, Y), tolerance_of(dtype));
  EXPECT_LT(error_of(gradients.d_qkv_NE, Q.grad()), tolerance_of(dtype));
  if (test.range > 0) {
    EXPECT_LT(error_of(gradients.d_bias_HW, R.grad()), tolerance_of(dtype));
  }
  const ops::TileAttentionGradients again = ops::tile_attention_backward(d_out, qkv, result, options);
  EXPECT_TRUE(at::equal(gradients.d_qkv_NE, again.d_qkv_NE));
  if (test.range >= 0) {
    EXPECT_TRUE(at::equal(gradients.d_bias_HW, again.d_bias_HW));
  }
}

struct TileAttention : OpTest {
  void SetUp() override {
    if (!ops::tile_attention_serves(at::kBFloat16, 64)) GTEST_SKIP() << "needs a GPU of compute capability 8.0";
  }
};

TEST_F(TileAttention, EqualsFloat64) {
  const std::vector<int64_t> lengths{65, 1, 0, 200, 64, 128, 63, 0}, long_ones{1500, 3, 777};
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    for (const int64_t head_width : {64, 128}) {
      for (const bool causal : {false, true}) {
        for (const int64_t range : {-1, 1, 31, 128, 300}) {
          expect_equal_to_float64({head_width, causal, range, 0.125, lengths}, dtype);
        }
        expect_equal_to_float64({head_width, causal, 128, 0.125, long_ones}, dtype);
      }
    }
  }
}

/// T5's products are not scaled: its weights are small instead.
TEST_F(TileAttention, WithoutAScaleEqualsFloat64) {
  expect_equal_to_float64({64, false, 128, 1.0, {300, 41}}, at::kBFloat16);
  expect_equal_to_float64({64, true, 128, 1.0, {300, 41}}, at::kHalf);
}

/// As in a bucket: the longest sequence is only bounded, and the last places are empty.
TEST_F(TileAttention, ABoundOnTheLongestSequenceChangesNothing) {
  const ops::RaggedTokens tokens = draw_tokens({130, 64, 5, 0, 0}, 9);
  const at::Tensor qkv = draw({199, 3 * kHeads * 64}, at::kBFloat16), d_out = draw({199, kHeads * 64}, at::kBFloat16),
                   bias = draw({kHeads, 2 * 20 + 1});
  ops::TileAttentionOptions options = options_of({64, false, 20, 0.125, {}}, tokens, bias);
  const ops::TileAttentionResult tight = ops::tile_attention(qkv, options);
  const ops::TileAttentionGradients of_tight = ops::tile_attention_backward(d_out, qkv, tight, options);
  options.longest = 4096;
  poison();
  const ops::TileAttentionResult loose = ops::tile_attention(qkv, options);
  const ops::TileAttentionGradients of_loose = ops::tile_attention_backward(d_out, qkv, loose, options);
  EXPECT_TRUE(at::equal(tight.out_ND, loose.out_ND));
  EXPECT_TRUE(at::equal(of_tight.d_qkv_NE, of_loose.d_qkv_NE));
  EXPECT_TRUE(at::equal(of_tight.d_bias_HW, of_loose.d_bias_HW));
}

}  // namespace
}  // namespace txtsum::tests
