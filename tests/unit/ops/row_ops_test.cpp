// Operations that work row by row, against float64 written with plain ATen calls and its autograd.

#include <vector>

#include "op_fixture.h"
#include "ops/row_kernels.h"
#include "txtsum/core/error.h"
#include "txtsum/core/random.h"
#include "txtsum/ops/activated_linear.h"
#include "txtsum/ops/activation.h"
#include "txtsum/ops/dropout.h"
#include "txtsum/ops/embed.h"
#include "txtsum/ops/gated_linear.h"
#include "txtsum/ops/linear.h"
#include "txtsum/ops/residual_dropout_norm.h"

namespace txtsum::tests {
namespace {

constexpr int64_t kRows = 37, kWidth = 48;

using RowOps = OpTest;

TEST_F(RowOps, LinearEqualsFloat64ForwardAndBackward) {
  for (const at::ScalarType dtype : tested_types()) {
    Parameters parameters;
    const at::Tensor x = leaf(draw({kRows, kWidth}, dtype)), weight = draw({29, kWidth}, dtype),
                     bias = draw({29}, dtype);
    const ops::ParamRef w = parameters.add(weight), b = parameters.add(bias);
    const at::Tensor d_out = draw({kRows, 29}, dtype);
    const at::Tensor y = ops::linear(x, w, b);
    y.backward(d_out);

    const at::Tensor X = reference_leaf(x), W = reference_leaf(weight), B = reference_leaf(bias);
    const at::Tensor Y = at::matmul(X, W.t()) + B;
    Y.backward(d_out.to(at::kDouble));
    EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
    EXPECT_LT(error_of(x.grad(), X.grad()), tolerance_of(dtype));
    EXPECT_LT(error_of(w.gradient(), W.grad()), tolerance_of(dtype));
    EXPECT_LT(error_of(b.gradient(), B.grad()), tolerance_of(dtype));
  }
}

TEST_F(RowOps, GradientsAreAddedToWhatIsThere) {
  Parameters parameters;
  const at::Tensor x = leaf(draw({5, 4}));
  const ops::ParamRef w = parameters.add(draw({3, 4})), none;
  ops::linear(x, w, none).sum().backward();
  const at::Tensor once = w.gradient().clone();
  ops::linear(x, w, none).sum().backward();
  EXPECT_TRUE(at::allclose(w.gradient(), 2 * once));
}

TEST_F(RowOps, FrozenParametersBehindAnInputWithoutGradientBuildNoGraph) {
  Parameters parameters;
  const ops::ParamRef w = parameters.add(draw({3, 4}), /*trains=*/false), none;
  EXPECT_FALSE(ops::linear(draw({5, 4}), w, none).requires_grad());
}

TEST_F(RowOps, NormEqualsFloat64WithAndWithoutResidualAndBias) {
  std::vector<std::pair<at::ScalarType, int64_t>> cases;
  for (const at::ScalarType dtype : tested_types()) {
    for (const int64_t width : {kWidth, int64_t{768}, int64_t{1024}, int64_t{2048}}) cases.emplace_back(dtype, width);
  }
  for (const auto& [dtype, width] : cases) {
    for (const auto& [has_residual, has_bias] : {std::pair(true, true), {true, false}, {false, true}, {false, false}}) {
      Parameters parameters;
      const at::Tensor x = leaf(draw({kRows, width}, dtype)), scale = draw({width}, dtype),
                       shift = draw({width}, dtype);
      const at::Tensor residual = has_residual ? leaf(draw({kRows, width}, dtype)) : at::Tensor();
      const at::Tensor bias = draw({width}, dtype);
      const ops::ParamRef s = parameters.add(scale), t = parameters.add(shift), b = parameters.add(bias);
      const at::Tensor d_out = draw({kRows, width}, dtype);
      const ops::NormRefs refs{s, t, has_bias ? b : ops::ParamRef(), 1e-5};
      const at::Tensor y = ops::residual_dropout_norm(x, residual, refs, {});
      y.backward(d_out);

      const at::Tensor X = reference_leaf(x), S = reference_leaf(scale), T = reference_leaf(shift);
      const at::Tensor R = has_residual ? reference_leaf(residual) : at::zeros({1}, on_test_device(at::kDouble));
      const at::Tensor B = reference_leaf(bias);
      const at::Tensor sum = has_bias ? X + B + R : X + R;
      const at::Tensor centred = sum - sum.mean(-1, true);
      const at::Tensor Y = centred / (centred.square().mean(-1, true) + 1e-5).sqrt() * S + T;
      Y.backward(d_out.to(at::kDouble));
      EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
      EXPECT_LT(error_of(x.grad(), X.grad()), tolerance_of(dtype));
      if (has_residual) {
        EXPECT_LT(error_of(residual.grad(), R.grad()), tolerance_of(dtype));
      }
      EXPECT_LT(error_of(s.gradient(), S.grad()), tolerance_of(dtype));
      EXPECT_LT(error_of(t.gradient(), T.grad()), tolerance_of(dtype));
      if (!has_bias) continue;
      EXPECT_LT(error_of(b.gradient(), B.grad()), tolerance_of(dtype));
    }
  }
}

TEST_F(RowOps, NormWithDropoutIsTheNormOfTheDroppedInput) {
  const ops::RaggedTokens tokens = draw_tokens({9, 1, 14}, 50);
  const ops::DropoutKey key = key_of(tokens, 0.3);
  Parameters parameters;
  const at::Tensor x = leaf(draw({24, kWidth})), other = leaf(x), residual = draw({24, kWidth}),
                   d_out = draw({24, kWidth});
  const ops::ParamRef s = parameters.add(draw({kWidth})), t = parameters.add(draw({kWidth})),
                      b = parameters.add(draw({kWidth}));
  const at::Tensor fused = ops::residual_dropout_norm(x, residual, {s, t, b, 1e-5}, key);
  const at::Tensor apart =
      ops::residual_dropout_norm(ops::dropout(other + b.value(), key), residual, {s, t, {}, 1e-5}, {});
  EXPECT_TRUE(at::allclose(fused, apart, 1e-6, 1e-6));
  fused.backward(d_out);
  apart.backward(d_out);
  EXPECT_TRUE(at::allclose(x.grad(), other.grad(), 1e-5, 1e-6));
}

at::Tensor activate(const at::Tensor& x, ops::Activation kind) {
  switch (kind) {
    case ops::Activation::kGelu:
      return 0.5 * x * (1 + at::erf(x * M_SQRT1_2));
    case ops::Activation::kGeluTanh:
      return 0.5 * x * (1 + at::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x.pow(3))));
    case ops::Activation::kRelu:
      return x.clamp_min(0);
    case ops::Activation::kSilu:
      return x / (1 + at::exp(-x));
    case ops::Activation::kTanh:
      return at::tanh(x);
  }
  return {};
}

TEST_F(RowOps, EveryActivationEqualsFloat64WithAndWithoutBias) {
  for (const at::ScalarType dtype : tested_types()) {
    for (const char* name : {"gelu", "gelu_new", "relu", "silu", "tanh"}) {
      for (const bool has_bias : {true, false}) {
        const ops::Activation kind = ops::activation_named(name);
        Parameters parameters;
        const at::Tensor x = leaf(3 * draw({kRows, kWidth}, dtype)), d_out = draw({kRows, kWidth}, dtype),
                         bias = draw({kWidth}, dtype);
        const ops::ParamRef b = parameters.add(bias);
        const at::Tensor y = ops::activation(x, has_bias ? b : ops::ParamRef(), kind, {});
        y.backward(d_out);
        const at::Tensor X = reference_leaf(x), B = reference_leaf(bias), Y = activate(has_bias ? X + B : X, kind);
        Y.backward(d_out.to(at::kDouble));
        EXPECT_LT(error_of(y, Y), tolerance_of(dtype)) << name;
        // Where relu bends, rounding x + bias may choose the other side; its slope is tested in fp32.
        if (dtype != at::kFloat && kind == ops::Activation::kRelu && has_bias) continue;
        EXPECT_LT(error_of(x.grad(), X.grad()), tolerance_of(dtype)) << name;
        if (!has_bias) continue;
        EXPECT_LT(error_of(b.gradient(), B.grad()), tolerance_of(dtype)) << name;
      }
    }
  }
  EXPECT_THROW(ops::activation_named("gelu_fast_"), core::DataError);
}

TEST_F(RowOps, AnActivationAndItsProductEqualTheTwoOneAfterTheOther) {
  const ops::RaggedTokens tokens = draw_tokens({9, 1, 14}, 50);
  for (const double probability : {0.0, 0.3}) {
    Parameters joined, apart;
    const at::Tensor x = leaf(draw({24, kWidth})), other = leaf(x), bias = draw({kWidth}), weight = draw({40, kWidth});
    const ops::ParamRef b1 = joined.add(bias), w1 = joined.add(weight), b2 = apart.add(bias), w2 = apart.add(weight);
    const ops::DropoutKey key = probability > 0 ? key_of(tokens, probability) : ops::DropoutKey();
    const at::Tensor d_out = draw({24, 40});
    const at::Tensor a = ops::activated_linear(x, b1, ops::Activation::kGelu, key, w1);
    const at::Tensor b = ops::linear(ops::activation(other, b2, ops::Activation::kGelu, key), w2, {});
    a.backward(d_out);
    b.backward(d_out);
    EXPECT_TRUE(at::allclose(a, b, 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(x.grad(), other.grad(), 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(b1.gradient(), b2.gradient(), 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(w1.gradient(), w2.gradient(), 1e-5, 1e-5));
  }
}

TEST_F(RowOps, AGateAndItsProductEqualFloat64) {
  const ops::RaggedTokens tokens = draw_tokens({20, 17}, 9);
  for (const at::ScalarType dtype : tested_types()) {
    for (const char* name : {"gelu_new", "silu", "relu"}) {
      for (const double p : {0.0, 0.3}) {
        SCOPED_TRACE(std::string(name) + ", dropout " + std::to_string(p));
        const ops::Activation kind = ops::activation_named(name);
        const ops::DropoutKey key = p > 0 ? key_of(tokens, p) : ops::DropoutKey();
        Parameters parameters;
        const at::Tensor x = leaf(draw({kRows, 2 * kWidth}, dtype)), d_out = draw({kRows, 40}, dtype);
        const ops::ParamRef w = parameters.add(draw({40, kWidth}, dtype));
        const at::Tensor y = ops::gated_linear(x, kind, key, w);
        y.backward(d_out);
        const at::Tensor X = reference_leaf(x), W = reference_leaf(w.value());
        const at::Tensor mask = ops::dropout(at::ones({kRows, kWidth}, on_test_device()), key).to(at::kDouble);
        const at::Tensor gate = activate(X.narrow(1, 0, kWidth), kind) * X.narrow(1, kWidth, kWidth) * mask;
        const at::Tensor Y = at::matmul(gate, W.t());
        Y.backward(d_out.to(at::kDouble));
        EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
        EXPECT_LT(error_of(x.grad(), X.grad()), tolerance_of(dtype));
        EXPECT_LT(error_of(w.gradient(), W.grad()), tolerance_of(dtype));
      }
    }
  }
}

TEST_F(RowOps, EmbedWithoutPositionsIsTheTablesRows) {
  Parameters parameters;
  const ops::RaggedTokens tokens = draw_tokens({11, 1, 20}, 6);
  const at::Tensor table = draw({6, kWidth}), d_out = draw({32, kWidth});
  const ops::ParamRef t = parameters.add(table);
  const at::Tensor y = ops::embed(tokens, {t, {}}, {});
  y.backward(d_out);
  const at::Tensor T = reference_leaf(table);
  T.index_select(0, tokens.ids_N).backward(d_out.to(at::kDouble));
  EXPECT_TRUE(at::equal(y, table.index_select(0, tokens.ids_N)));
  EXPECT_LT(error_of(t.gradient(), T.grad()), kOpTolerance);
}

TEST_F(RowOps, EmbedAddsTheGradientsOfRepeatedIds) {
  Parameters parameters;
  const ops::RaggedTokens tokens = draw_tokens({11, 1, 20}, 6);  // 32 tokens of 6 ids: all repeat
  const at::Tensor table = draw({6, kWidth}), positions = draw({24, kWidth}), d_out = draw({32, kWidth});
  const ops::ParamRef t = parameters.add(table), p = parameters.add(positions);
  at::Tensor y = ops::embed(tokens, {t, p}, {1.7, 2});
  y.backward(d_out);
  const at::Tensor T = reference_leaf(table), P = reference_leaf(positions);
  const at::Tensor Y = T.index_select(0, tokens.ids_N) * 1.7 + P.index_select(0, tokens.positions_N + 2);
  Y.backward(d_out.to(at::kDouble));
  EXPECT_LT(error_of(y, Y), kOpTolerance);
  EXPECT_LT(error_of(t.gradient(), T.grad()), kOpTolerance);
  EXPECT_LT(error_of(p.gradient(), P.grad()), kOpTolerance);

  const at::Tensor others = t.gradient().clone();
  others.select(0, 4).zero_();
  t.gradient().zero_();
  ops::embed(tokens, {t, p}, {1.7, 2, /*still_id=*/4}).backward(d_out);
  EXPECT_LT(error_of(t.gradient(), others), kOpTolerance);
}

TEST_F(RowOps, EmbedNormsItsSumsAsFloat64Does) {
  for (const at::ScalarType dtype : tested_types()) {
    Parameters parameters;
    const ops::RaggedTokens tokens = draw_tokens({11, 1, 20}, 6);
    const at::Tensor table = draw({6, kWidth}, dtype), positions = draw({24, kWidth}, dtype),
                     scale = draw({kWidth}, dtype), shift = draw({kWidth}, dtype), d_out = draw({32, kWidth}, dtype);
    const ops::ParamRef t = parameters.add(table), p = parameters.add(positions), s = parameters.add(scale),
                        h = parameters.add(shift);
    const at::Tensor y = ops::embed(tokens, {t, p}, {1.7, 2}, {s, h, {}, 1e-5});
    y.backward(d_out);
    const at::Tensor T = reference_leaf(table), P = reference_leaf(positions), S = reference_leaf(scale),
                     H = reference_leaf(shift);
    const at::Tensor sum = T.index_select(0, tokens.ids_N) * 1.7 + P.index_select(0, tokens.positions_N + 2);
    const at::Tensor centred = sum - sum.mean(-1, true);
    const at::Tensor Y = centred / (centred.square().mean(-1, true) + 1e-5).sqrt() * S + H;
    Y.backward(d_out.to(at::kDouble));
    EXPECT_LT(error_of(y, Y), tolerance_of(dtype));
    EXPECT_LT(error_of(t.gradient(), T.grad()), tolerance_of(dtype));
    EXPECT_LT(error_of(p.gradient(), P.grad()), tolerance_of(dtype));
    EXPECT_LT(error_of(s.gradient(), S.grad()), tolerance_of(dtype));
    EXPECT_LT(error_of(h.gradient(), H.grad()), tolerance_of(dtype));
  }
}

TEST_F(RowOps, EmbedDropsAsDropoutBehindItDoes) {
  const ops::RaggedTokens tokens = draw_tokens({11, 1, 20}, 6);
  const ops::DropoutKey key = key_of(tokens, 0.3);
  const at::Tensor table = draw({6, kWidth}), positions = draw({24, kWidth}), scale = draw({kWidth}),
                   shift = draw({kWidth}), d_out = draw({32, kWidth});
  for (const bool norms : {true, false}) {
    Parameters joined, apart;
    const auto refs_in = [&](Parameters& parameters) {
      return std::pair(ops::EmbedRefs{parameters.add(table), parameters.add(positions)},
                       norms ? ops::NormRefs{parameters.add(scale), parameters.add(shift), {}, 1e-5} : ops::NormRefs{});
    };
    const auto [rows, norm] = refs_in(joined);
    const auto [other_rows, other_norm] = refs_in(apart);
    const at::Tensor a = ops::embed(tokens, rows, {}, norm, key);
    const at::Tensor sum = ops::embed(tokens, other_rows, {});
    const at::Tensor b = ops::dropout(norms ? ops::residual_dropout_norm(sum, {}, other_norm, {}) : sum, key);
    EXPECT_TRUE(at::allclose(a, b, 1e-5, 1e-5));
    EXPECT_TRUE(at::equal(a.eq(0), b.eq(0)));
    a.backward(d_out);
    b.backward(d_out);
    EXPECT_TRUE(at::allclose(rows.table.gradient(), other_rows.table.gradient(), 1e-4, 1e-4));
    EXPECT_TRUE(at::allclose(rows.positions.gradient(), other_rows.positions.gradient(), 1e-4, 1e-4));
    if (!norms) continue;
    EXPECT_TRUE(at::allclose(norm.scale.gradient(), other_norm.scale.gradient(), 1e-4, 1e-4));
    EXPECT_TRUE(at::allclose(norm.shift.gradient(), other_norm.shift.gradient(), 1e-4, 1e-4));
  }
}

TEST_F(RowOps, AMaskDrawnFromKeyWordsOnTheDeviceIsThatOfSeedAndUpdate) {
  const ops::RaggedTokens tokens = draw_tokens({9, 1, 14}, 50);
  const at::Tensor x = draw({24, kWidth});
  ops::DropoutKey by_value = key_of(tokens, 0.3), by_words = by_value;
  const auto [first, second] = ops::dropout_words(by_value.seed, by_value.update);
  by_words.words_2 =
      at::tensor({static_cast<int64_t>(first), static_cast<int64_t>(second)}).to(at::kInt).to(test_device());
  if (!test_device().is_cpu()) by_words.seed = by_words.update = 0;  // must not be looked at
  EXPECT_TRUE(at::equal(ops::dropout(x, by_value), ops::dropout(x, by_words)));
}

TEST(DropRow, DrawsTheWordsOfPhilox) {
  constexpr int64_t kLastCounters = 4 * ((int64_t{1} << 32) - 3);  // the counter has 32 bits
  const ops::DropoutRow row{.key0 = 0x12345678u,
                            .key1 = 0x9ABCDEF0u,
                            .position = 3,
                            .example = 0xFFFFFFFFu,
                            .site = 17,
                            .threshold = 0x80000000u,
                            .keep_factor = 2.0f};
  for (const int64_t first_channel : {int64_t{0}, int64_t{8}, int64_t{40}, kLastCounters}) {
    for (const int64_t count : {1, 4, 31, 32, 33, 65, 200}) {
      std::vector<float> values(static_cast<size_t>(count), 1.5f);
      ops::drop_row(values.data(), count, first_channel, row);
      for (int64_t i = 0; i < count; ++i) {
        const auto counter = static_cast<uint32_t>((first_channel + i) / 4);
        const auto words = core::philox4x32({counter, row.position, row.example, row.site}, {row.key0, row.key1});
        const float wanted = words[static_cast<size_t>(i % 4)] < row.threshold ? 0.0f : 3.0f;
        ASSERT_EQ(values[static_cast<size_t>(i)], wanted)
            << "channel " << first_channel << " + " << i << " of " << count;
      }
    }
  }
}

TEST_F(RowOps, DropoutKeepsTheRightShareAndScalesIt) {
  const ops::RaggedTokens tokens = draw_tokens({200, 300}, 9);
  for (const double probability : {0.1, 0.5, 0.9}) {
    const at::Tensor y = ops::dropout(at::ones({500, 64}, on_test_device()), key_of(tokens, probability));
    const double kept = y.ne(0).to(at::kDouble).mean().item<double>();
    const double sigma = std::sqrt(probability * (1 - probability) / (500.0 * 64.0));
    EXPECT_NEAR(kept, 1 - probability, 5 * sigma);
    EXPECT_NEAR(y.max().item<double>(), 1 / (1 - probability), 1e-5);
    // No row, channel or neighbour is favoured: means of halves agree.
    EXPECT_NEAR(y.slice(1, 0, 32).ne(0).to(at::kDouble).mean().item<double>(), 1 - probability, 8 * sigma);
    EXPECT_NEAR(y.slice(0, 0, 250).ne(0).to(at::kDouble).mean().item<double>(), 1 - probability, 8 * sigma);
  }
}

TEST_F(RowOps, DropoutUsesTheSameMaskInBackward) {
  const ops::RaggedTokens tokens = draw_tokens({30}, 9);
  const at::Tensor x = leaf(at::ones({30, 64}, on_test_device()));
  const at::Tensor y = ops::dropout(x, key_of(tokens, 0.4));
  y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), y.detach()));
}

TEST_F(RowOps, AMaskDependsOnExamplePositionUpdateAndSiteAlone) {
  const ops::RaggedTokens alone = draw_tokens({12}, 9, /*first_example=*/41);
  const ops::RaggedTokens among = draw_tokens({5, 12, 3}, 9, /*first_example=*/40);  // example 41 is the second
  const auto mask = [](const ops::RaggedTokens& tokens, int64_t update, int64_t site) {
    return ops::dropout(at::ones({tokens.tokens(), 40}, on_test_device()), key_of(tokens, 0.5, update, site));
  };
  EXPECT_TRUE(at::equal(mask(alone, 3, 7), mask(among, 3, 7).slice(0, 5, 17)));
  EXPECT_FALSE(at::equal(mask(alone, 3, 7), mask(alone, 4, 7)));
  EXPECT_FALSE(at::equal(mask(alone, 3, 7), mask(alone, 3, 8)));
  EXPECT_FALSE(at::equal(mask(among, 3, 7).slice(0, 0, 3), mask(among, 3, 7).slice(0, 17, 20)));
  const at::Tensor x = draw({12, 40});
  EXPECT_TRUE(ops::dropout(x, {}).is_same(x));
}

}  // namespace
}  // namespace txtsum::tests
