#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "support/test_device.h"
#include "support/tolerances.h"
#include "txtsum/ops/dropout_key.h"
#include "txtsum/ops/parameter.h"
#include "txtsum/ops/ragged.h"

namespace txtsum::tests {

inline constexpr uint64_t kOpSeed = 20261124;

inline at::TensorOptions on_test_device(at::ScalarType dtype = at::kFloat) {
  return at::TensorOptions().dtype(dtype).device(test_device());
}

/// The types that the device under test computes in.
inline std::vector<at::ScalarType> tested_types() {
  std::vector<at::ScalarType> types{at::kFloat, at::kBFloat16};
  if (!test_device().is_cpu()) types.push_back(at::kHalf);
  return types;
}

/// Of one operation in `dtype` against float64.
inline double tolerance_of(at::ScalarType dtype) {
  return dtype == at::kFloat ? kOpTolerance : dtype == at::kHalf ? kOpToleranceFp16 : kOpToleranceBf16;
}

/// Parameters with a gradient of their own each.
class Parameters final : public ops::ParameterSource {
 public:
  ops::ParamRef add(const at::Tensor& values, bool trains = true) {
    values_.push_back(values);
    gradients_.push_back(trains ? at::zeros_like(values) : at::Tensor());
    return {this, static_cast<int64_t>(values_.size()) - 1};
  }
  at::Tensor value(int64_t index) const override { return values_.at(static_cast<size_t>(index)); }
  at::Tensor gradient(int64_t index) const override { return gradients_.at(static_cast<size_t>(index)); }

 private:
  std::vector<at::Tensor> values_, gradients_;
};

/// Largest |ours - wanted| / largest |wanted|.
inline double error_of(const at::Tensor& ours, const at::Tensor& wanted) {
  EXPECT_EQ(ours.sizes(), wanted.sizes());
  const double scale = wanted.abs().max().item<double>();
  return (ours.to(at::kDouble) - wanted).abs().max().item<double>() / std::max(scale, 1e-30);
}

/// A copy in float64 that gathers a gradient.
inline at::Tensor reference_leaf(const at::Tensor& values) {
  return values.detach().to(at::kDouble).clone().set_requires_grad(true);
}

inline at::Tensor leaf(const at::Tensor& values) { return values.detach().clone().set_requires_grad(true); }

/// Fresh numbers, standard normal, in the type that is tested.
inline at::Tensor draw(at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
  return at::randn(shape, at::kDouble).to(on_test_device(dtype));
}

/// Random ids cut into sequences of the given lengths; examples are numbered from `first_example`.
inline ops::RaggedTokens draw_tokens(const std::vector<int64_t>& lengths, int64_t vocabulary,
                                     int64_t first_example = 0) {
  std::vector<int64_t> offsets{0}, examples;
  for (const int64_t length : lengths) {
    offsets.push_back(offsets.back() + length);
    examples.push_back(first_example + static_cast<int64_t>(examples.size()));
  }
  const at::Tensor ids = at::randint(vocabulary, {offsets.back()}, at::kLong);
  const int64_t* data = ids.const_data_ptr<int64_t>();
  return ops::to_device(ops::make_ragged_tokens({data, data + ids.numel()}, offsets, examples), test_device());
}

inline ops::DropoutKey key_of(const ops::RaggedTokens& tokens, double probability, int64_t update = 3,
                              int64_t site = 7) {
  ops::DropoutKey key;
  key.probability = probability;
  key.seed = kOpSeed;
  key.update = update;
  key.site = site;
  key.examples_N = tokens.examples_N;
  key.positions_N = tokens.positions_N;
  return key;
}

struct OpTest : testing::Test {
  OpTest() { at::manual_seed(kOpSeed); }
};

}  // namespace txtsum::tests
