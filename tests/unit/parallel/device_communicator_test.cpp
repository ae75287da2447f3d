#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "txtsum/core/error.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {
namespace {

TEST(DeviceCommunicator, IsTheHostCommunicatorOnACpu) {
  const RankEnvironment alone;
  EXPECT_TRUE(device_of_rank(alone, false).is_cpu());
  const auto single = make_communicator(alone, device_of_rank(alone, false), 5);
  EXPECT_EQ(single->world(), 1);
  single->barrier();
}

TEST(DeviceCommunicator, SaysThatThereIsNoGpu) {
  if (at::globalContext().hasCUDA()) GTEST_SKIP() << "there is one";
  EXPECT_THROW(device_of_rank(RankEnvironment{}, true), core::EnvironmentError);
  EXPECT_THROW(make_nccl_communicator(make_single_communicator(), c10::Device(c10::kCUDA, 0), 5),
               core::EnvironmentError);
}

}  // namespace
}  // namespace txtsum::parallel
