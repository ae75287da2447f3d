#include "txtsum/ops/adamw_update.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

#include "op_fixture.h"

namespace txtsum::ops {
namespace {

using tests::on_test_device;

constexpr int64_t kNumel = 200001;
constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16, at::kHalf};

AdamWTensors random_tensors(at::ScalarType gradient_type) {
  at::manual_seed(3);
  AdamWTensors tensors;
  tensors.masters = at::randn({kNumel}).to(on_test_device());
  tensors.gradients = at::randn({kNumel}).to(on_test_device(gradient_type));
  tensors.first_moment = at::randn({kNumel}).to(on_test_device());
  tensors.second_moment = at::rand({kNumel}).to(on_test_device());
  return tensors;
}

AdamWTensors copy_of(const AdamWTensors& from) {
  AdamWTensors to;
  to.masters = from.masters.clone();
  to.gradients = from.gradients.clone();
  to.first_moment = from.first_moment.clone();
  to.second_moment = from.second_moment.clone();
  return to;
}

AdamWScalars scalars() {
  AdamWScalars s;
  s.learning_rate = 1e-2;
  s.beta1 = 0.9;
  s.beta2 = 0.99;
  s.epsilon = 1e-8;
  s.weight_decay = 0.1;
  s.update = 7;
  s.gradient_factor = 0.25;
  return s;
}

/// torch.optim.AdamW's step in float64.
AdamWTensors reference_update(const AdamWTensors& tensors, const AdamWScalars& s, double decay) {
  AdamWTensors r;
  const at::Tensor gradient = tensors.gradients.to(at::kDouble) * s.gradient_factor;
  r.first_moment = tensors.first_moment.to(at::kDouble) * s.beta1 + gradient * (1 - s.beta1);
  r.second_moment = tensors.second_moment.to(at::kDouble) * s.beta2 + gradient * gradient * (1 - s.beta2);
  const double correction1 = 1 - std::pow(s.beta1, s.update), correction2 = 1 - std::pow(s.beta2, s.update);
  const at::Tensor root = r.second_moment.sqrt() / std::sqrt(correction2) + s.epsilon;
  r.masters = tensors.masters.to(at::kDouble) * (1 - s.learning_rate * decay) -
              s.learning_rate / correction1 * r.first_moment / root;
  return r;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST(AdamWUpdate, EqualsTheFormulaInFloat64) {
  for (const at::ScalarType type : kTypes) {
    AdamWTensors tensors = random_tensors(type);
    const AdamWTensors with_decay = reference_update(tensors, scalars(), 0.1);
    const AdamWTensors without_decay = reference_update(tensors, scalars(), 0.0);
    const int64_t middle = 70001;
    adamw_update(tensors, {{0, middle, true, false}, {middle, kNumel, false, false}}, scalars());
    const at::Tensor wanted = at::cat({with_decay.masters.slice(0, 0, middle), without_decay.masters.slice(0, middle)});
    EXPECT_LT(largest_difference(tensors.masters, wanted), 2e-6);
    EXPECT_LT(largest_difference(tensors.first_moment, with_decay.first_moment), 1e-6);
    EXPECT_LT(largest_difference(tensors.second_moment, with_decay.second_moment), 1e-6);
  }
}

TEST(AdamWUpdate, GivesTheSameBitsForAnyThreadsAndSpans) {
  const AdamWTensors start = random_tensors(at::kFloat);
  AdamWTensors whole = copy_of(start), cut = copy_of(start);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  adamw_update(whole, {{0, kNumel, true, false}}, scalars());
  at::set_num_threads(2);
  adamw_update(cut, {{0, 13, true, false}, {13, 5000, true, false}, {5000, kNumel, true, false}}, scalars());
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(whole.masters, cut.masters));
  EXPECT_TRUE(at::equal(whole.first_moment, cut.first_moment));
  EXPECT_TRUE(at::equal(whole.second_moment, cut.second_moment));
}

TEST(AdamWUpdate, LeavesFrozenSpansAlone) {
  const AdamWTensors start = random_tensors(at::kFloat);
  AdamWTensors tensors = copy_of(start);
  tensors.working = at::zeros({kNumel}, on_test_device(at::kBFloat16));
  adamw_update(tensors, {{0, 100, true, false}, {100, 90000, true, true}, {90000, kNumel, true, false}}, scalars());
  EXPECT_TRUE(at::equal(tensors.masters.slice(0, 100, 90000), start.masters.slice(0, 100, 90000)));
  EXPECT_TRUE(at::equal(tensors.first_moment.slice(0, 100, 90000), start.first_moment.slice(0, 100, 90000)));
  EXPECT_EQ(tensors.working.slice(0, 100, 90000).abs().max().item<double>(), 0.0);
  EXPECT_FALSE(at::equal(tensors.masters.slice(0, 90000), start.masters.slice(0, 90000)));
}

TEST(AdamWUpdate, WritesRoundedMastersIntoTheWorkingWeights) {
  for (const at::ScalarType type : kTypes) {
    if (type == at::kFloat) continue;  // the masters themselves
    for (const at::ScalarType gradient_type : {type, at::kFloat}) {
      AdamWTensors tensors = random_tensors(gradient_type);
      tensors.masters[5] = std::numeric_limits<float>::infinity();
      tensors.masters[6] = std::numeric_limits<float>::quiet_NaN();
      tensors.working = at::zeros({kNumel}, on_test_device(type));
      adamw_update(tensors, {{0, kNumel, true, false}}, scalars());
      const at::Tensor wanted = tensors.masters.to(type);
      EXPECT_TRUE(at::equal(tensors.working.view(at::kShort).slice(0, 7), wanted.view(at::kShort).slice(0, 7)));
      EXPECT_TRUE(std::isinf(tensors.working[5].item<float>()));
      EXPECT_TRUE(std::isnan(tensors.working[6].item<float>()));
    }
  }
}

/// Every fp16 number as a gradient, and masters around every place where fp16 rounds. Whole, and in spans of seven,
/// which are shorter than what a CPU converts at once.
TEST(AdamWUpdate, ReadsAndWritesFp16OnTheCpuAsATenDoes) {
  constexpr int64_t kHalfs = 1 << 16;
  const at::Tensor bits = at::arange(kHalfs, at::kInt).to(at::kShort);
  AdamWTensors tensors;
  tensors.gradients = bits.view(at::kHalf);
  tensors.first_moment = at::zeros({kHalfs});
  tensors.second_moment = at::zeros({kHalfs});
  // Nothing moves; the first moment becomes the gradient.
  AdamWScalars numbers;
  numbers.learning_rate = 0.0;
  numbers.beta1 = 0.0;
  std::vector<UpdateSpan> sevens;
  for (int64_t begin = 0; begin < kHalfs; begin += 7)
    sevens.push_back({begin, std::min(begin + 7, kHalfs), false, false});
  const at::Tensor wide = tensors.gradients.to(at::kFloat);
  const at::Tensor next = (bits.to(at::kInt) + 1).to(at::kShort).view(at::kHalf).to(at::kFloat);
  for (const double share : {0.0, 0.25, 0.5, 0.75}) {
    const at::Tensor between = wide + share * (next - wide);
    tensors.masters = at::where(between.isfinite(), between, at::zeros_like(between));
    for (const at::Tensor& values : {tensors.masters.clone(), at::nextafter(tensors.masters, wide),
                                     at::nextafter(tensors.masters, next), tensors.masters * 1e3}) {
      for (const auto& spans : {std::vector<UpdateSpan>{{0, kHalfs, false, false}}, sevens}) {
        tensors.masters = values.clone();
        tensors.working = at::zeros({kHalfs}, at::kHalf);
        tensors.first_moment.zero_();
        adamw_update(tensors, spans, numbers);
        const at::Tensor kept = tensors.masters.isfinite(), finite = wide.isfinite();
        EXPECT_TRUE(at::equal(tensors.working.view(at::kShort).masked_select(kept),
                              tensors.masters.to(at::kHalf).view(at::kShort).masked_select(kept)));
        EXPECT_TRUE(at::equal(tensors.first_moment.masked_select(finite), wide.masked_select(finite)));
        EXPECT_EQ(tensors.first_moment.masked_select(finite.logical_not()).isfinite().sum().item<int64_t>(), 0);
      }
    }
  }
}

TEST(GradientNorm, EqualsFloat64AndSkipsFrozenSpans) {
  for (const at::ScalarType type : kTypes) {
    const at::Tensor gradients = random_tensors(type).gradients;
    const double norm =
        gradient_norm(gradients, {{0, 1000, true, false}, {1000, 70000, true, true}, {70000, kNumel, false, false}});
    const at::Tensor counted = at::cat({gradients.slice(0, 0, 1000), gradients.slice(0, 70000)}).to(at::kDouble);
    EXPECT_NEAR(norm / counted.norm().item<double>(), 1.0, 1e-13);
  }
}

TEST(GradientNorm, GivesTheSameBitsForAnyThreads) {
  const at::Tensor gradients = random_tensors(at::kFloat).gradients;
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const double one = gradient_norm(gradients, {{0, kNumel, true, false}});
  at::set_num_threads(2);
  const double two = gradient_norm(gradients, {{0, kNumel, true, false}});
  at::set_num_threads(threads);
  EXPECT_EQ(one, two);
}

TEST(GradientNorm, CarriesWhatIsNotFinite) {
  const at::Tensor gradients = at::zeros({300}, on_test_device());
  gradients[299] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(gradient_norm(gradients, {{0, 300, true, false}})));
  gradients[299] = -std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(gradient_norm(gradients, {{0, 300, true, false}})));
}

}  // namespace
}  // namespace txtsum::ops
