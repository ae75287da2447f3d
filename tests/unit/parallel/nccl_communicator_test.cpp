// NCCL with one rank, on a GPU alone. More ranks: tests/distributed/gpu_ranks.sh.

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "support/test_device.h"
#include "txtsum/core/error.h"
#include "txtsum/ops/device_graph.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr double kDeadline = 1.0;

struct NcclCommunicator : ::testing::Test {
  void SetUp() override {
    if (tests::test_device().is_cpu()) GTEST_SKIP() << "needs a GPU";
    ranks = make(60);
  }

  static at::Device gpu() { return at::Device(at::kCUDA, 0); }
  static std::unique_ptr<Communicator> make(double deadline_seconds) {
    return make_nccl_communicator(make_single_communicator(), gpu(), deadline_seconds);
  }
  static at::Tensor values_of(int64_t numel, at::ScalarType type) {
    return at::sin(at::arange(numel, at::TensorOptions(at::kDouble).device(gpu()))).to(type);
  }

  std::unique_ptr<Communicator> ranks;
};

/// Keeps the current stream busy until it is released, or for 20 s.
class Obstacle {
 public:
  Obstacle() { cudaLaunchHostFunc(at::cuda::getCurrentCUDAStream().stream(), wait, this); }
  ~Obstacle() {
    release();
    at::cuda::getCurrentCUDAStream().synchronize();
  }
  void release() { is_released_ = true; }

 private:
  static void wait(void* self) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!static_cast<Obstacle*>(self)->is_released_ && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  std::atomic<bool> is_released_{false};
};

std::string failure_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const core::RankError& error) {
    EXPECT_EQ(error.exit_code(), 71);
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(NcclCommunicator, KeepsValuesOfEveryTypeAndSizeInEveryCollective) {
  EXPECT_EQ(ranks->rank(), 0);
  EXPECT_EQ(ranks->world(), 1);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    for (const int64_t numel : {0, 1, 8, 33, 5003, 1'300'003}) {
      const at::Tensor values = values_of(numel, type);
      const at::Tensor shard = at::zeros_like(values), all = at::zeros_like(values), kept = values.clone();
      ranks->wait(ranks->reduce_scatter(values, shard));
      const TicketRef gather = ranks->all_gather(shard, all);
      ranks->wait(ranks->broadcast(values, 0));
      ranks->wait(gather);
      ranks->wait(ranks->reduce_scatter(values, values));
      ranks->wait(ranks->all_gather(values, values));
      EXPECT_TRUE(at::equal(shard, kept)) << type << " " << numel;
      EXPECT_TRUE(at::equal(all, kept)) << type << " " << numel;
      EXPECT_TRUE(at::equal(values, kept)) << type << " " << numel;
    }
  }
}

TEST_F(NcclCommunicator, GathersAndBroadcastsOtherTypesToo) {
  const at::Tensor values = at::arange(77, at::TensorOptions(at::kLong).device(gpu()));
  const at::Tensor all = at::zeros_like(values);
  ranks->wait(ranks->all_gather(values, all));
  ranks->wait(ranks->broadcast(all, 0));
  EXPECT_TRUE(at::equal(all, values));
}

TEST_F(NcclCommunicator, HostNumbersBytesAndHostTensorsGoThroughTheHost) {
  std::vector<double> numbers{1.5, -2.0};
  ranks->all_reduce(numbers);
  EXPECT_EQ(numbers, (std::vector<double>{1.5, -2.0}));
  EXPECT_EQ(ranks->gather_bytes("abc"), std::vector<std::string>{"abc"});
  ranks->barrier();
  const at::Tensor values = at::arange(20, at::kFloat), shard = at::zeros({20});
  ranks->wait(ranks->reduce_scatter(values, shard));
  EXPECT_TRUE(at::equal(shard, values));
  EXPECT_EQ(ranks->counts().collectives, 4);
}

TEST_F(NcclCommunicator, BeginsAfterWhatIsOnTheCurrentStreamAndWaitDoesNotBlockTheHost) {
  const at::Tensor values = values_of(5000, at::kFloat), shard = at::zeros_like(values);
  at::Tensor doubled = at::empty_like(values);
  std::string done;  // where the stream was found to have nothing left to do
  const auto look = [&](const char* where) {
    if (cudaStreamQuery(at::cuda::getCurrentCUDAStream().stream()) == cudaSuccess) done += std::string(where) + ", ";
  };
  const auto work = [&] {
    values.add_(1);
    look("add");
    const TicketRef ticket = ranks->reduce_scatter(values, shard);
    look("reduce_scatter");
    ranks->wait(ticket);
    look("wait");
    at::mul_out(doubled, shard, at::scalar_tensor(2.0f));
    look("multiply");
  };
  // A kernel is loaded where it is used first, and CUDA waits for the whole GPU there: that is over before the
  // obstacle.
  work();
  const at::Tensor wanted = values.to(at::kCPU) + 1;
  done.clear();
  Obstacle obstacle;
  work();
  EXPECT_EQ(done, "");
  obstacle.release();
  EXPECT_TRUE(at::equal(doubled.to(at::kCPU), wanted * 2));
}

TEST_F(NcclCommunicator, MemoryOfATicketThatNobodyWaitsForIsNotGivenOutBeforeItIsOver) {
  const at::Tensor kept = values_of(100'000, at::kFloat);
  at::Tensor all = at::zeros_like(kept);
  // So that neither a kernel nor memory is waited for below.
  { const at::Tensor first = kept.clone(), second = at::full_like(kept, 5.0); }
  Obstacle obstacle;
  {
    const at::Tensor values = kept.clone();
    ranks->all_gather(values, all);
  }
  const at::Tensor other = at::full_like(kept, 7.0);
  obstacle.release();
  ranks->wait(ranks->broadcast(other, 0));
  EXPECT_TRUE(at::equal(all, kept));
}

TEST_F(NcclCommunicator, AGraphHoldsCollectives) {
  const at::Tensor values = at::zeros({5003}, at::TensorOptions(at::kBFloat16).device(gpu()));
  const at::Tensor shard = at::zeros_like(values), all = at::zeros_like(values), sums = at::zeros_like(values);
  const auto work = [&] {
    const TicketRef reduce = ranks->reduce_scatter(values, shard);
    sums.add_(1);  // beside it
    ranks->wait(reduce);
    const TicketRef gather = ranks->all_gather(shard, all);
    ranks->wait(gather);
    sums.add_(all);
  };
  ops::DevicePool pool(gpu());
  pool.run(work);
  const auto graph = pool.capture(work);
  sums.zero_();
  for (int64_t replay = 1; replay <= 3; ++replay) {
    values.fill_(static_cast<double>(replay));
    graph->replay();
  }
  EXPECT_TRUE(at::equal(sums, at::full_like(sums, 3 + 1 + 2 + 3)));
  ranks->wait(ranks->broadcast(values, 0));
  EXPECT_TRUE(at::equal(values, at::full_like(values, 3)));
}

TEST_F(NcclCommunicator, ATicketIsWaitedForOnItsSideOfACapture) {
  const at::Tensor values = values_of(64, at::kFloat);
  const TicketRef outside = ranks->broadcast(values, 0);
  ops::DevicePool pool(gpu());
  pool.run([] {});
  bool refused = false;
  pool.capture([&] {
    try {
      ranks->wait(outside);
    } catch (const core::InternalError&) {
      refused = true;
    }
  });
  EXPECT_TRUE(refused);
  ranks->wait(outside);
}

TEST_F(NcclCommunicator, RefusesEverythingAfterAbortAndSaysWhere) {
  const at::Tensor values = values_of(20, at::kFloat);
  ranks->set_phase(12, "backward");
  const TicketRef ticket = ranks->broadcast(values, 0);
  ranks->abort("out of memory");
  const std::string wanted = "rank 0 of 1: update 12, backward, collective 1 (broadcast of 20 elements): out of memory";
  EXPECT_EQ(failure_of([&] { ranks->wait(ticket); }), wanted);
  EXPECT_EQ(failure_of([&] { ranks->reduce_scatter(values, values); }), wanted);
  EXPECT_EQ(failure_of([&] { ranks->barrier(); }), wanted);
}

TEST_F(NcclCommunicator, ACollectiveThatIsNotOverWithinTheDeadlineEndsTheConnection) {
  ranks = make(kDeadline);
  const at::Tensor values = values_of(5000, at::kFloat);
  ranks->wait(ranks->broadcast(values, 0));
  ranks->set_phase(3, "backward");
  Obstacle obstacle;
  const auto began = std::chrono::steady_clock::now();
  ranks->wait(ranks->reduce_scatter(values, values));
  std::string failure;
  while (failure.empty() && std::chrono::steady_clock::now() - began < std::chrono::seconds(10)) {
    ranks->set_phase(4, "update");
    try {
      ranks->barrier();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    } catch (const core::RankError& error) {
      failure = error.what();
    }
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(failure,
            "rank 0 of 1: update 3, backward, collective 2 (reduce_scatter of 5000 elements): not over within 1 s");
  EXPECT_GE(passed.count(), kDeadline);
  EXPECT_LT(passed.count(), kDeadline + 1);
  EXPECT_EQ(failure_of([&] { ranks->broadcast(values, 0); }), failure);
  obstacle.release();
}

TEST_F(NcclCommunicator, AReplayIsWatchedWhereThatIsAskedFor) {
  ranks = make(kDeadline);
  const at::Tensor values = values_of(5000, at::kFloat);
  const auto work = [&] { ranks->wait(ranks->broadcast(values, 0)); };
  ops::DevicePool pool(gpu());
  pool.run(work);
  const auto graph = pool.capture(work);
  at::cuda::getCurrentCUDAStream().synchronize();
  ranks->set_phase(3, "backward");
  Obstacle obstacle;
  graph->replay();
  ranks->watch_replay({});
  std::this_thread::sleep_for(std::chrono::duration<double>(kDeadline + 0.5));
  EXPECT_EQ(failure_of([&] { ranks->barrier(); }),
            "rank 0 of 1: update 3, backward, collective 3 (replayed graph): not over within 1 s");
  obstacle.release();
  at::cuda::getCurrentCUDAStream().synchronize();
}

TEST_F(NcclCommunicator, AnIdleConnectionHasNoDeadline) {
  ranks = make(0.2);
  const at::Tensor values = values_of(5000, at::kFloat);
  ranks->wait(ranks->broadcast(values, 0));
  at::cuda::getCurrentCUDAStream().synchronize();
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  ranks->wait(ranks->broadcast(values, 0));
  ranks->barrier();
}

TEST_F(NcclCommunicator, EndsWhileAnExceptionGoesThrough) {
  EXPECT_THROW(
      {
        const auto others = make(60);
        others->broadcast(values_of(1000, at::kFloat), 0);
        throw core::DataError("no space left on device");
      },
      core::DataError);
}

TEST_F(NcclCommunicator, EndsWithAGraphAliveWithoutHanging) {
  const at::Tensor values = values_of(1000, at::kFloat);
  ops::DevicePool pool(gpu());
  const auto work = [&] { ranks->wait(ranks->broadcast(values, 0)); };
  pool.run(work);
  const auto graph = pool.capture(work);
  graph->replay();
  ranks->abort("the end");
  ranks.reset();
}

TEST_F(NcclCommunicator, RefusesTensorsOfAnotherDeviceAndAGpuThatIsNotThere) {
  const auto missing = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(at::cuda::device_count()));
  EXPECT_THROW(make_nccl_communicator(make_single_communicator(), missing, 5), core::EnvironmentError);
}

TEST_F(NcclCommunicator, TheFactoryTakesItForRanksOnGpusOfTheirOwn) {
  RankEnvironment alone;
  EXPECT_EQ(device_of_rank(alone, true), gpu());
  EXPECT_THAT(failure_of([&] {
                const auto single = make_communicator(alone, gpu(), 60);
                single->abort("the end");
                single->barrier();
              }),
              StartsWith("update 0, start, collective 1 (barrier): given up before"));
  RankEnvironment launched;
  launched.source = RankSource::kVariables;
  launched.master_address = "127.0.0.1";
  launched.master_port = 29'517;
  EXPECT_THAT(failure_of([&] {
                const auto nccl = make_communicator(launched, gpu(), 60);
                nccl->abort("the end");
                nccl->barrier();
              }),
              HasSubstr("rank 0 of 1: update 0, start: the end"));
}

}  // namespace
}  // namespace txtsum::parallel
