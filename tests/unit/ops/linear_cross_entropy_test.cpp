// The chunked loss against float64 over all logits at once.

#include "txtsum/ops/linear_cross_entropy.h"

#include "op_fixture.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kWidth = 24, kVocabulary = 101, kPadded = 128;

struct Inputs {
  at::Tensor x, weight, bias, labels;
};

/// Rows that fill several chunks, and a weight whose rows beyond the vocabulary would be noticed.
Inputs draw_inputs(int64_t rows, at::ScalarType dtype) {
  Inputs inputs{leaf(draw({rows, kWidth}, dtype)), draw({kPadded, kWidth}, dtype), draw({kVocabulary}),
                at::randint(kVocabulary, {rows}, on_test_device(at::kLong))};
  inputs.weight.slice(0, kVocabulary).fill_(50.0);
  return inputs;
}

using LinearCrossEntropy = OpTest;

TEST_F(LinearCrossEntropy, LossAndGradientsEqualFloat64) {
  for (const at::ScalarType dtype : tested_types()) {
    const double tolerance = tolerance_of(dtype);
    for (const int64_t rows : {1, 7, 3000}) {
      for (const double smoothing : {0.0, 0.1}) {
        Parameters parameters;
        const Inputs in = draw_inputs(rows, dtype);
        const ops::ParamRef w = parameters.add(in.weight);
        const ops::CrossEntropySums sums =
            ops::linear_cross_entropy(in.x, w, in.bias, in.labels, {kVocabulary, smoothing});
        sums.loss.backward();

        const at::Tensor X = reference_leaf(in.x), W = reference_leaf(in.weight);
        const at::Tensor log_p =
            at::log_softmax(at::matmul(X, W.slice(0, 0, kVocabulary).t()) + in.bias.to(at::kDouble), 1);
        const at::Tensor nll = -log_p.gather(1, in.labels.unsqueeze(1)).sum();
        const at::Tensor loss = (1 - smoothing) * nll + smoothing * -log_p.mean(1).sum();
        loss.backward();
        EXPECT_LT(error_of(sums.loss, loss), tolerance) << rows;
        EXPECT_LT(error_of(sums.nll, nll), tolerance) << rows;
        EXPECT_LT(error_of(in.x.grad(), X.grad()), tolerance) << rows;
        EXPECT_LT(error_of(w.gradient().slice(0, 0, kVocabulary), W.grad().slice(0, 0, kVocabulary)), tolerance);
        EXPECT_EQ(w.gradient().slice(0, kVocabulary).abs().max().item<double>(), 0.0);
      }
    }
  }
}

TEST_F(LinearCrossEntropy, RowsWithANegativeLabelCountNothing) {
  Parameters parameters;
  const Inputs in = draw_inputs(40, at::kFloat);
  const ops::ParamRef all = parameters.add(in.weight), few = parameters.add(in.weight);
  const at::Tensor labels = in.labels.clone(), x = leaf(in.x.detach().slice(0, 0, 25));
  labels.slice(0, 25).fill_(-1);
  const ops::CrossEntropySums masked = ops::linear_cross_entropy(in.x, all, in.bias, labels, {kVocabulary, 0.1});
  const ops::CrossEntropySums cut =
      ops::linear_cross_entropy(x, few, in.bias, labels.slice(0, 0, 25), {kVocabulary, 0.1});
  masked.loss.backward();
  cut.loss.backward();
  EXPECT_TRUE(at::allclose(masked.loss, cut.loss, 1e-6));
  EXPECT_TRUE(at::allclose(masked.nll, cut.nll, 1e-6));
  EXPECT_TRUE(at::allclose(all.gradient(), few.gradient(), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(in.x.grad().slice(0, 0, 25), x.grad(), 1e-5, 1e-6));
  EXPECT_EQ(in.x.grad().slice(0, 25).abs().max().item<double>(), 0.0);
}

TEST_F(LinearCrossEntropy, LargeLogitsStayFinite) {
  Parameters parameters;
  Inputs in = draw_inputs(9, at::kFloat);
  in.weight.mul_(300);
  const ops::ParamRef w = parameters.add(in.weight);
  const ops::CrossEntropySums sums = ops::linear_cross_entropy(in.x, w, in.bias, in.labels, {kVocabulary, 0.1});
  EXPECT_TRUE(at::isfinite(sums.loss).item<bool>());
  EXPECT_TRUE(at::isfinite(w.gradient()).all().item<bool>());
}

TEST_F(LinearCrossEntropy, AGradientFactorScalesEveryGradientAndNoLoss) {
  const Inputs in = draw_inputs(40, at::kFloat);
  const at::Tensor factor = at::full({1}, 0.125, on_test_device()), other = leaf(in.x);
  Parameters parameters;
  const ops::ParamRef plain = parameters.add(in.weight), scaled = parameters.add(in.weight);
  const ops::CrossEntropySums a = ops::linear_cross_entropy(in.x, plain, in.bias, in.labels, {kVocabulary, 0.1});
  const ops::CrossEntropySums b =
      ops::linear_cross_entropy(other, scaled, in.bias, in.labels, {kVocabulary, 0.1, factor});
  a.loss.backward();
  b.loss.backward();
  EXPECT_TRUE(at::equal(a.loss, b.loss));
  EXPECT_TRUE(at::allclose(scaled.gradient() * 8, plain.gradient(), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(other.grad() * 8, in.x.grad(), 1e-5, 1e-6));
}

TEST_F(LinearCrossEntropy, AFrozenWeightGetsNoGradientAndXStillDoes) {
  Parameters parameters;
  const Inputs in = draw_inputs(6, at::kFloat);
  const ops::ParamRef frozen = parameters.add(in.weight, /*trains=*/false), free = parameters.add(in.weight);
  const at::Tensor other = leaf(in.x);
  ops::linear_cross_entropy(in.x, frozen, in.bias, in.labels, {kVocabulary, 0.0}).loss.backward();
  ops::linear_cross_entropy(other, free, in.bias, in.labels, {kVocabulary, 0.0}).loss.backward();
  EXPECT_TRUE(at::equal(in.x.grad(), other.grad()));
}

TEST_F(LinearCrossEntropy, WithoutGradientsItGivesTheSameLoss) {
  Parameters parameters;
  const Inputs in = draw_inputs(40, at::kFloat);
  const ops::ParamRef w = parameters.add(in.weight);
  const double with = ops::linear_cross_entropy(in.x, w, in.bias, in.labels, {kVocabulary, 0.1}).loss.item<double>();
  const at::Tensor gradient = w.gradient().clone();
  const at::NoGradGuard no_grad;
  EXPECT_NEAR(ops::linear_cross_entropy(in.x, w, in.bias, in.labels, {kVocabulary, 0.1}).loss.item<double>(), with,
              1e-4 * with);
  EXPECT_TRUE(at::equal(w.gradient(), gradient));
}

}  // namespace
}  // namespace txtsum::tests
