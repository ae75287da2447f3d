#include "txtsum/ops/offloaded_update.h"

#include <cmath>
#include <limits>

#include "op_fixture.h"
#include "txtsum/ops/host_memory.h"

namespace txtsum::ops {
namespace {

using tests::on_test_device;

constexpr int64_t kChunk = OffloadedUpdate::kChunk;
/// More chunks than are in flight, the last one short.
constexpr int64_t kNumel = 5 * kChunk + 12345;

/// Neighbours that learn, frozen stretches at a chunk's beginning and over a whole chunk, and a change of decay.
const std::vector<UpdateSpan> kSpans{
    {0, 1000, true, false},           {1000, 500000, false, false},         {500000, 500100, false, true},
    {500100, kChunk, true, false},    {kChunk, 2 * kChunk + 7, true, true}, {2 * kChunk + 7, kNumel - 10, true, false},
    {kNumel - 10, kNumel, true, true}};

at::Tensor host_copy(const at::Tensor& values) {
  return host_zeros(values.numel(), values.scalar_type(), tests::test_device()).copy_(values);
}

struct OffloadedUpdates : tests::OpTest {
  void SetUp() override {
    scalars.learning_rate = 1e-2;
    scalars.weight_decay = 0.1;
    scalars.update = 3;
    scalars.gradient_factor = 0.5;
    plain.masters = at::randn({kNumel});
    plain.first_moment = at::randn({kNumel});
    plain.second_moment = at::rand({kNumel});
    offloaded.masters = host_copy(plain.masters);
    offloaded.first_moment = host_copy(plain.first_moment);
    offloaded.second_moment = host_copy(plain.second_moment);
  }

  void expect_same_state() {
    EXPECT_TRUE(at::equal(offloaded.masters, plain.masters));
    EXPECT_TRUE(at::equal(offloaded.first_moment, plain.first_moment));
    EXPECT_TRUE(at::equal(offloaded.second_moment, plain.second_moment));
  }

  AdamWScalars scalars;
  AdamWTensors plain, offloaded;  // on the host; the offloaded gradients on the device
};

TEST_F(OffloadedUpdates, GiveTheBitsOfTheCpusUpdateAndLeaveFrozenWeightsAlone) {
  for (const at::ScalarType working_type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const at::ScalarType gradient_type : {working_type, at::kFloat}) {
      SCOPED_TRACE(std::string(c10::toString(working_type)) + " of " + c10::toString(gradient_type));
      OffloadedUpdate update(kSpans, tests::test_device(), gradient_type, working_type);
      at::Tensor weights = at::full({kNumel}, 7.0, on_test_device(working_type));
      at::Tensor wanted = at::full({kNumel}, 7.0, working_type);
      for (int step = 0; step < 2; ++step) {
        plain.gradients = at::randn({kNumel}).to(gradient_type);
        offloaded.gradients = plain.gradients.to(on_test_device(gradient_type));
        if (working_type != at::kFloat) plain.working = wanted;
        adamw_update(plain, kSpans, scalars);
        update.run(offloaded, weights, scalars);
        if (working_type == at::kFloat) {
          for (const UpdateSpan& span : kSpans) {
            if (span.frozen) continue;
            wanted.slice(0, span.begin, span.end).copy_(plain.masters.slice(0, span.begin, span.end));
          }
        }
      }
      plain.working.reset();
      expect_same_state();
      EXPECT_TRUE(at::equal(weights.cpu(), wanted));
    }
  }
}

TEST_F(OffloadedUpdates, WriteWeightsThatLieInHostMemoryWhereTheyLie) {
  OffloadedUpdate update(kSpans, tests::test_device(), at::kFloat, at::kBFloat16);
  plain.gradients = at::randn({kNumel});
  offloaded.gradients = plain.gradients.to(tests::test_device());
  plain.working = plain.masters.to(at::kBFloat16);
  offloaded.working = host_copy(plain.working);
  adamw_update(plain, kSpans, scalars);
  update.run(offloaded, {}, scalars);
  expect_same_state();
  EXPECT_TRUE(at::equal(offloaded.working, plain.working));
}

/// Marks of stretches that end within chunks, at one and over several.
struct MarkedUpdates : OffloadedUpdates {
  void SetUp() override {
    OffloadedUpdates::SetUp();
    for (const int64_t begin : {kNumel - 20, 3 * kChunk + 5, 3 * kChunk, int64_t{1000}, int64_t{0}}) {
      marks.push_back({begin, CopyMark(tests::test_device())});
    }
    plain.gradients = at::randn({kNumel});
  }

  std::vector<GradientMark> marks;
};

TEST_F(MarkedUpdates, WaitForGradientsThatAreOnTheirWay) {
  OffloadedUpdate update(kSpans, tests::test_device(), at::kFloat, at::kFloat);
  const at::Tensor there = plain.gradients.to(tests::test_device());
  const at::Tensor busy = at::randn({2048, 2048}, on_test_device(at::kFloat));
  at::Tensor weights = at::zeros({kNumel}, on_test_device(at::kFloat));
  for (int step = 0; step < 3; ++step) {
    offloaded.gradients = at::full({kNumel}, 9.0, on_test_device(at::kFloat));
    int64_t end = kNumel;
    for (const GradientMark& stretch : marks) {
      for (int i = 0; i < (tests::test_device().is_cuda() ? 20 : 0); ++i) at::mm(busy, busy);
      offloaded.gradients.slice(0, stretch.begin, end).copy_(there.slice(0, stretch.begin, end));
      stretch.mark.move_to_current();
      end = stretch.begin;
    }
    adamw_update(plain, kSpans, scalars);
    update.run(offloaded, weights, scalars, marks);
    expect_same_state();
    for (const UpdateSpan& span : kSpans) {
      const at::Tensor found = weights.slice(0, span.begin, span.end).cpu();
      EXPECT_TRUE(at::equal(found, span.frozen ? at::zeros_like(found) : plain.masters.slice(0, span.begin, span.end)));
    }
  }
}

TEST_F(MarkedUpdates, ChangeNothingWhereTheLastGradientsAreNotFinite) {
  OffloadedUpdate update(kSpans, tests::test_device(), at::kFloat, at::kFloat);
  const at::Tensor before = plain.masters.clone();
  at::Tensor weights = plain.masters.clone().to(tests::test_device());
  const auto run = [&](int64_t bad) {
    offloaded.gradients = plain.gradients.clone().to(tests::test_device());
    offloaded.gradients[bad] = std::numeric_limits<float>::quiet_NaN();
    for (const GradientMark& stretch : marks) stretch.mark.move_to_current();
    update.run(offloaded, weights, scalars, marks);
  };
  run(kNumel - 11);
  EXPECT_TRUE(at::equal(offloaded.masters, before));
  EXPECT_TRUE(at::equal(weights.cpu(), before));
  // What is frozen counts no more than in the norm.
  run(kNumel - 10);
  EXPECT_FALSE(at::equal(offloaded.masters.slice(0, 0, 1000), before.slice(0, 0, 1000)));
}

TEST(HostMemory, IsZeroedAndOfAnySize) {
  for (const int64_t numel : {int64_t{0}, int64_t{1}, int64_t{5000000}}) {
    const at::Tensor memory = host_zeros(numel, at::kFloat, tests::test_device());
    EXPECT_EQ(memory.sizes(), at::IntArrayRef({numel}));
    EXPECT_EQ(memory.count_nonzero().item<int64_t>(), 0);
    EXPECT_EQ(numel > 0 && memory.is_pinned(), numel > 0 && tests::test_device().is_cuda());
  }
}

}  // namespace
}  // namespace txtsum::ops
