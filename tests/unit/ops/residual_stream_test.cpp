// The stream of pre-norm layers against float64 written with plain ATen calls and its autograd.

#include "txtsum/ops/residual_stream.h"

#include <torch/csrc/autograd/autograd.h>

#include "op_fixture.h"
#include "txtsum/ops/dropout.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kRows = 37;

using ResidualStream = OpTest;

at::Tensor reference_norm(const at::Tensor& sum, const at::Tensor& scale, const at::Tensor& shift) {
  const at::Tensor centred = sum - sum.mean(-1, true);
  return centred / (centred.square().mean(-1, true) + 1e-5).sqrt() * scale + shift;
}

/// A layer's half (sum and norm in one), a sum alone and a norm alone, one after the other, each with gradients of its
/// own from outside.
TEST_F(ResidualStream, SumsAndNormsEqualFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({20, 17}, 9);
  for (const at::ScalarType dtype : tested_types()) {
    for (const int64_t width : {int64_t{48}, int64_t{1024}}) {
      for (const double p : {0.0, 0.3}) {
        SCOPED_TRACE("width " + std::to_string(width) + ", dropout " + std::to_string(p));
        Parameters parameters;
        const at::Tensor stream = leaf(draw({kRows, width})), x = leaf(draw({kRows, width}, dtype)),
                         z = leaf(draw({kRows, width}, dtype));
        std::vector<at::Tensor> vectors;
        std::vector<ops::ParamRef> refs;
        for (int i = 0; i < 6; ++i) {
          vectors.push_back(draw({width}, dtype));
          refs.push_back(parameters.add(vectors.back()));
        }
        const ops::DropoutKey first_key = p > 0 ? key_of(tokens, p) : ops::DropoutKey();
        const ops::DropoutKey second_key = p > 0 ? key_of(tokens, p, /*update=*/3, /*site=*/8) : ops::DropoutKey();
        const ops::StreamResult half = ops::add_and_norm(stream, x, {refs[0], refs[1], refs[2], 1e-5}, first_key);
        const at::Tensor whole = ops::add_to_stream(half.stream_ND, z, refs[3], second_key);
        const at::Tensor normed = ops::norm_of_stream(whole, {refs[4], refs[5], {}, 1e-5});
        EXPECT_EQ(half.stream_ND.scalar_type(), at::kFloat);
        EXPECT_EQ(normed.scalar_type(), dtype);
        const at::Tensor d_half = draw({kRows, width}, dtype), d_whole = draw({kRows, width}),
                         d_normed = draw({kRows, width}, dtype);
        torch::autograd::backward({half.normed_ND, whole, normed}, {d_half, d_whole, d_normed});

        const at::Tensor S = reference_leaf(stream), X = reference_leaf(x), Z = reference_leaf(z);
        std::vector<at::Tensor> V;
        for (const at::Tensor& vector : vectors) V.push_back(reference_leaf(vector));
        const at::Tensor ones = at::ones({kRows, width}, on_test_device());
        const auto mask = [&](const ops::DropoutKey& key) {
          return (p > 0 ? ops::dropout(ones, key) : ones).to(at::kDouble);
        };
        const at::Tensor half_sum = S + mask(first_key) * (X + V[2]);
        const at::Tensor half_norm = reference_norm(half_sum, V[0], V[1]);
        const at::Tensor whole_sum = half_sum + mask(second_key) * (Z + V[3]);
        const at::Tensor whole_norm = reference_norm(whole_sum, V[4], V[5]);
        torch::autograd::backward({half_norm, whole_sum, whole_norm},
                                  {d_half.to(at::kDouble), d_whole.to(at::kDouble), d_normed.to(at::kDouble)});
        EXPECT_LT(error_of(half.stream_ND, half_sum), kOpTolerance);
        EXPECT_LT(error_of(whole, whole_sum), kOpTolerance);
        EXPECT_LT(error_of(half.normed_ND, half_norm), tolerance_of(dtype));
        EXPECT_LT(error_of(normed, whole_norm), tolerance_of(dtype));
        EXPECT_LT(error_of(stream.grad(), S.grad()), kOpTolerance);
        EXPECT_LT(error_of(x.grad(), X.grad()), tolerance_of(dtype));
        EXPECT_LT(error_of(z.grad(), Z.grad()), tolerance_of(dtype));
        for (size_t i = 0; i < refs.size(); ++i) {
          EXPECT_LT(error_of(refs[i].gradient(), V[i].grad()), tolerance_of(dtype)) << "vector " << i;
        }
      }
    }
  }
}

/// Without a shift: the root of the mean square alone.
TEST_F(ResidualStream, NormsWithoutAShiftEqualFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({20, 17}, 9);
  const auto reference = [](const at::Tensor& sum, const at::Tensor& scale) {
    return sum / (sum.square().mean(-1, true) + 1e-6).sqrt() * scale;
  };
  for (const at::ScalarType dtype : tested_types()) {
    for (const int64_t width : {int64_t{48}, int64_t{1024}}) {
      SCOPED_TRACE("width " + std::to_string(width));
      Parameters parameters;
      const at::Tensor stream = leaf(draw({kRows, width}) + 0.5), x = leaf(draw({kRows, width}, dtype));
      const ops::ParamRef first = parameters.add(draw({width}, dtype)), last = parameters.add(draw({width}, dtype));
      const ops::DropoutKey key = key_of(tokens, 0.3);
      const ops::StreamResult half = ops::add_and_norm(stream, x, {first, {}, {}, 1e-6}, key);
      const at::Tensor normed = ops::norm_of_stream(half.stream_ND, {last, {}, {}, 1e-6});
      const at::Tensor d_half = draw({kRows, width}, dtype), d_normed = draw({kRows, width}, dtype);
      torch::autograd::backward({half.normed_ND, normed}, {d_half, d_normed});

      const at::Tensor S = reference_leaf(stream), X = reference_leaf(x), F = reference_leaf(first.value()),
                       L = reference_leaf(last.value());
      const at::Tensor mask = ops::dropout(at::ones({kRows, width}, on_test_device()), key).to(at::kDouble);
      const at::Tensor sum = S + mask * X, half_norm = reference(sum, F), norm = reference(sum, L);
      torch::autograd::backward({half_norm, norm}, {d_half.to(at::kDouble), d_normed.to(at::kDouble)});
      EXPECT_LT(error_of(half.stream_ND, sum), kOpTolerance);
      EXPECT_LT(error_of(half.normed_ND, half_norm), tolerance_of(dtype));
      EXPECT_LT(error_of(normed, norm), tolerance_of(dtype));
      EXPECT_LT(error_of(stream.grad(), S.grad()), kOpTolerance);
      EXPECT_LT(error_of(x.grad(), X.grad()), tolerance_of(dtype));
      EXPECT_LT(error_of(first.gradient(), F.grad()), tolerance_of(dtype));
      EXPECT_LT(error_of(last.gradient(), L.grad()), tolerance_of(dtype));
    }
  }
}

}  // namespace
}  // namespace txtsum::tests
