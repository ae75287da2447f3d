#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "txtsum/core/error.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {
namespace {

using ::testing::HasSubstr;

TEST(SingleCommunicator, KeepsValuesInEveryCollective) {
  const auto communicator = make_single_communicator();
  EXPECT_EQ(communicator->rank(), 0);
  EXPECT_EQ(communicator->world(), 1);
  const at::Tensor values = at::arange(6, at::kFloat);
  communicator->all_reduce(values);
  communicator->broadcast(values, 0);
  EXPECT_TRUE(at::equal(values, at::arange(6, at::kFloat)));

  const at::Tensor shard = at::zeros({6}, at::kFloat);
  communicator->reduce_scatter(values, shard);
  EXPECT_TRUE(at::equal(shard, values));
  const at::Tensor gathered = at::zeros({6}, at::kFloat);
  communicator->all_gather(shard, gathered);
  EXPECT_TRUE(at::equal(gathered, values));

  std::vector<double> numbers{1.5, -2.0};
  communicator->all_reduce(numbers);
  EXPECT_EQ(numbers, (std::vector<double>{1.5, -2.0}));
  communicator->barrier();
}

TEST(SingleCommunicator, RefusesCollectivesAfterAbort) {
  const auto communicator = make_single_communicator();
  communicator->abort("rank 0 ran out of memory");
  try {
    communicator->barrier();
    FAIL() << "the barrier returned";
  } catch (const core::InternalError& error) {
    EXPECT_THAT(error.what(), HasSubstr("rank 0 ran out of memory"));
  }
}

class WorldSize : public ::testing::Test {
 protected:
  void TearDown() override { ::unsetenv("WORLD_SIZE"); }
};

TEST_F(WorldSize, OfOneOrUnsetIsTaken) {
  ::unsetenv("WORLD_SIZE");
  EXPECT_NO_THROW(check_world_size_from_environment());
  ::setenv("WORLD_SIZE", "1", 1);
  EXPECT_NO_THROW(check_world_size_from_environment());
}

TEST_F(WorldSize, AboveOneIsRefused) {
  ::setenv("WORLD_SIZE", "4", 1);
  try {
    check_world_size_from_environment();
    FAIL() << "four ranks were taken";
  } catch (const core::UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("sharded training is not in this version"));
  }
}

TEST_F(WorldSize, ThatIsNoNumberIsRefused) {
  ::setenv("WORLD_SIZE", "two", 1);
  EXPECT_THROW(check_world_size_from_environment(), core::UserError);
}

}  // namespace
}  // namespace txtsum::parallel
