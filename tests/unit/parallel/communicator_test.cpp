#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  communicator->wait(communicator->broadcast(values, 0));
  communicator->wait(communicator->reduce_scatter(values, values));
  EXPECT_TRUE(at::equal(values, at::arange(6, at::kFloat)));

  const at::Tensor shard = at::zeros({6}, at::kFloat);
  communicator->wait(communicator->reduce_scatter(values, shard));
  EXPECT_TRUE(at::equal(shard, values));
  const at::Tensor gathered = at::zeros({6}, at::kFloat);
  communicator->wait(communicator->all_gather(shard, gathered));
  EXPECT_TRUE(at::equal(gathered, values));

  std::vector<double> numbers{1.5, -2.0};
  communicator->all_reduce(numbers);
  EXPECT_EQ(numbers, (std::vector<double>{1.5, -2.0}));
  EXPECT_EQ(communicator->gather_bytes("abc"), std::vector<std::string>{"abc"});
  communicator->barrier();
}

TEST(SingleCommunicator, SendsNothing) {
  const auto communicator = make_single_communicator();
  const at::Tensor values = at::ones({20});
  communicator->reduce_scatter(values, values);
  communicator->all_gather(values, values);
  communicator->broadcast(values, 0);
  communicator->barrier();
  EXPECT_EQ(communicator->counts().collectives, 4);
  EXPECT_EQ(communicator->counts().bytes, 0);
  EXPECT_EQ(communicator->counts().reduce_scatter_elements, 0);
}

TEST(SingleCommunicator, RefusesCollectivesAfterAbortAndSaysWhere) {
  const auto communicator = make_single_communicator();
  communicator->set_phase(12, "backward");
  communicator->barrier();
  communicator->abort("out of memory");
  const at::Tensor values = at::ones({20});
  try {
    communicator->reduce_scatter(values, values);
    FAIL() << "it was started";
  } catch (const core::RankError& error) {
    EXPECT_STREQ(error.what(),
                 "update 12, backward, collective 2 (reduce_scatter of 20 elements): given up before: out of memory");
    EXPECT_EQ(error.exit_code(), 71);
  }
  EXPECT_THROW(communicator->barrier(), core::RankError);
}

TEST(Communicator, ChecksWhatItIsGiven) {
  const auto communicator = make_single_communicator();
  const at::Tensor values = at::ones({20});
  EXPECT_THROW(communicator->reduce_scatter(at::ones({4, 5}), values), core::InternalError);
  EXPECT_THROW(communicator->reduce_scatter(values, at::ones({19})), core::InternalError);
  EXPECT_THROW(communicator->reduce_scatter(values, at::ones({20}, at::kBFloat16)), core::InternalError);
  EXPECT_THROW(communicator->reduce_scatter(at::ones({20}, at::kLong), at::ones({20}, at::kLong)), core::InternalError);
  EXPECT_THROW(communicator->all_gather(at::ones({40}).slice(0, 0, 40, 2), values), core::InternalError);
  const at::Tensor buffer = at::ones({30});
  EXPECT_THROW(communicator->all_gather(buffer.slice(0, 5, 25), buffer.slice(0, 0, 20)), core::InternalError);
  EXPECT_THROW(communicator->broadcast(values, 1), core::InternalError);
  EXPECT_EQ(communicator->counts().collectives, 0);
}

}  // namespace
}  // namespace txtsum::parallel
