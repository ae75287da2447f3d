#include "txtsum/ops/offloaded_update.h"

#include <cmath>

#include "op_fixture.h"
#include "txtsum/ops/host_memory.h"

namespace txtsum::ops {
namespace {

using tests::on_test_device;

/// More chunks than are in flight, the last one short.
constexpr int64_t kNumel = 5 * (int64_t{1} << 21) + 12345;

/// Neighbours that learn, frozen stretches at a chunk's beginning and over a whole chunk, and a change of decay.
const std::vector<UpdateSpan> kSpans{{0, 1000, true, false},
                                     {1000, 500000, false, false},
                                     {500000, 500100, false, true},
                                     {500100, int64_t{1} << 21, true, false},
                                     {int64_t{1} << 21, (int64_t{1} << 22) + 7, true, true},
                                     {(int64_t{1} << 22) + 7, kNumel - 10, true, false},
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
