#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "support/collective_script.h"
#include "support/rank_threads.h"
#include "txtsum/core/error.h"

namespace txtsum::parallel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using tests::own_part;
using tests::rank_values;
using tests::run_ranks;
using tests::try_ranks;

/// What the ranks' sum has to be.
at::Tensor expected_sum(int64_t world, int64_t numel, at::ScalarType type) {
  const at::ScalarType wide = type == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor sum = rank_values(0, numel, type).to(wide);
  for (int64_t r = 1; r < world; ++r) sum = sum + rank_values(r, numel, type).to(wide);
  return sum.to(type);
}

TEST(ThreadCommunicators, SumInRankOrderAndRoundOnce) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    for (int64_t world = 1; world <= 4; ++world) {
      for (const int64_t numel : {0, 1, 8, 33, 1000, 5003}) {
        const at::Tensor sum = expected_sum(world, numel, type);
        run_ranks(world, [&](Communicator& ranks) {
          const at::Tensor values = rank_values(ranks.rank(), numel, type);
          const at::Tensor shard = at::empty_like(own_part(values, ranks));
          ranks.wait(ranks.reduce_scatter(values, shard));
          EXPECT_TRUE(at::equal(shard, own_part(sum, ranks)));
          EXPECT_TRUE(at::equal(values, rank_values(ranks.rank(), numel, type))) << "the input has changed";
          ranks.wait(ranks.reduce_scatter(values, own_part(values, ranks)));
          ranks.wait(ranks.all_gather(own_part(values, ranks), values));
          EXPECT_TRUE(at::equal(values, sum)) << numel << " elements on " << world << " ranks";
        });
      }
    }
  }
}

// More than one exchange a collective.
TEST(ThreadCommunicators, CarryLargeTensors) {
  const int64_t numel = 2'200'017;
  const at::Tensor sum = expected_sum(2, numel, at::kFloat);
  run_ranks(2, [&](Communicator& ranks) {
    const at::Tensor values = rank_values(ranks.rank(), numel, at::kFloat);
    ranks.wait(ranks.reduce_scatter(values, own_part(values, ranks)));
    const at::Tensor all = at::empty_like(values);
    ranks.wait(ranks.all_gather(own_part(values, ranks), all));
    EXPECT_TRUE(at::equal(all, sum));
    const at::Tensor copy = ranks.rank() == 1 ? all.clone() : at::zeros_like(all);
    ranks.wait(ranks.broadcast(copy, 1));
    EXPECT_TRUE(at::equal(copy, sum));
    const std::string long_text(static_cast<size_t>(5'000'000 * ranks.rank()), 'x');
    EXPECT_EQ(ranks.gather_bytes(long_text)[1].size(), 5'000'000u);
  });
}

TEST(ThreadCommunicators, ReplaceValuesByTheRootsAndGatherBytes) {
  run_ranks(3, [](Communicator& ranks) {
    for (int64_t root = 0; root < 3; ++root) {
      const at::Tensor values = at::full({7}, ranks.rank() * 10 + root, at::kLong);
      ranks.wait(ranks.broadcast(values, root));
      EXPECT_TRUE(at::equal(values, at::full({7}, root * 10 + root, at::kLong)));
    }
    const std::string own(static_cast<size_t>(ranks.rank()), static_cast<char>('a' + ranks.rank()));
    EXPECT_EQ(ranks.gather_bytes(own), (std::vector<std::string>{"", "b", "cc"}));
    // 1e16 + 1 - 1e16: the order shows.
    std::vector<double> numbers{ranks.rank() == 0 ? 1e16 : ranks.rank() == 1 ? 1.0 : -1e16, 1.0};
    ranks.all_reduce(numbers);
    EXPECT_EQ(numbers, (std::vector<double>{0.0, 3.0}));
    std::vector<double> none;
    ranks.all_reduce(none);
  });
}

TEST(ThreadCommunicators, KeepOrderAmongCollectivesThatAreUnderWay) {
  run_ranks(3, [](Communicator& ranks) {
    std::vector<at::Tensor> buffers;
    std::vector<TicketRef> tickets;
    for (int64_t i = 0; i < 20; ++i) {
      buffers.push_back(at::full({100 + i}, static_cast<double>(ranks.rank() + i), at::kFloat));
      tickets.push_back(ranks.reduce_scatter(buffers.back(), own_part(buffers.back(), ranks)));
      tickets.push_back(ranks.all_gather(own_part(buffers.back(), ranks), buffers.back()));
    }
    for (const TicketRef& ticket : tickets) ranks.wait(ticket);
    for (int64_t i = 0; i < 20; ++i) {
      EXPECT_TRUE(at::equal(buffers[static_cast<size_t>(i)], at::full({100 + i}, 3.0 * i + 3.0, at::kFloat)));
    }
  });
}

TEST(ThreadCommunicators, CountWhatTheRankSends) {
  run_ranks(3, [](Communicator& ranks) {
    const int64_t numel = 50;  // Parts of 24, 24 and 2.
    const at::Tensor values = at::ones({numel}, at::kBFloat16);
    const int64_t own = part_of(numel, 3, ranks.rank()).numel();
    ranks.wait(ranks.reduce_scatter(values, own_part(values, ranks)));
    ranks.wait(ranks.all_gather(own_part(values, ranks), values));
    ranks.wait(ranks.broadcast(values, 2));
    ranks.barrier();
    const int64_t broadcast = ranks.rank() == 2 ? 2 * numel : 0;
    EXPECT_EQ(ranks.counts().reduce_scatter_elements, numel - own);
    EXPECT_EQ(ranks.counts().all_gather_elements, 2 * own);
    EXPECT_EQ(ranks.counts().broadcast_elements, broadcast);
    EXPECT_EQ(ranks.counts().bytes, 2 * (numel - own + 2 * own + broadcast));
    EXPECT_EQ(ranks.counts().collectives, 4);
  });
}

TEST(ThreadCommunicators, CountWhatAGraphSendsWhenItIsReplayed) {
  run_ranks(2, [](Communicator& ranks) {
    const at::Tensor values = at::ones({32});
    ranks.wait(ranks.all_gather(own_part(values, ranks), values));
    const TrafficCounts before = ranks.counts();
    ranks.wait(ranks.reduce_scatter(values, own_part(values, ranks)));
    const TrafficCounts sent = ranks.take_captured(before);
    EXPECT_EQ(sent.reduce_scatter_elements, 16);
    EXPECT_EQ(ranks.counts().reduce_scatter_elements, 0);
    EXPECT_EQ(ranks.counts().all_gather_elements, 16);
    for (int replay = 0; replay < 3; ++replay) ranks.watch_replay(sent);
    EXPECT_EQ(ranks.counts().reduce_scatter_elements, 48);
    EXPECT_EQ(ranks.counts().all_gather_elements, 16);
    EXPECT_EQ(ranks.counts().bytes, 4 * 64);
    EXPECT_EQ(ranks.counts().collectives, 5) << "numbers of collectives go on";
  });
}

/// What every rank's RankError says; another or none is a failed test.
std::vector<std::string> messages(const std::vector<std::exception_ptr>& thrown) {
  std::vector<std::string> texts;
  for (const std::exception_ptr& each : thrown) {
    std::string& text = texts.emplace_back("nothing was thrown");
    try {
      if (each) std::rethrow_exception(each);
    } catch (const core::RankError& error) {
      text = error.what();
    }
  }
  return texts;
}

TEST(ThreadCommunicators, GiveUpAtTheDeadlineAndSayWhoHasNotCome) {
  auto communicators = make_thread_communicators(4, 0.5);
  const auto began = std::chrono::steady_clock::now();
  const std::vector<std::string> texts = messages(try_ranks(communicators, [](Communicator& ranks) {
    ranks.set_phase(12, "backward");
    ranks.barrier();
    if (ranks.rank() == 2) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    const at::Tensor values = at::ones({100});
    ranks.wait(ranks.reduce_scatter(values, own_part(values, ranks)));
  }));
  for (const int rank : {0, 1, 3}) {
    EXPECT_THAT(texts[static_cast<size_t>(rank)],
                AllOf(HasSubstr("rank " + std::to_string(rank) +
                                " of 4: update 12, backward, collective 2 (reduce_scatter of 100 elements): "),
                      HasSubstr("not over within 0.5 s; rank 2 has not come")));
  }
  EXPECT_THAT(texts[2], AllOf(HasSubstr("rank 2 of 4: update 12"), HasSubstr("gave up at update 12, backward")));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(3));
}

TEST(ThreadCommunicators, AreAllEndedByAnAbort) {
  auto communicators = make_thread_communicators(3, 60);
  const std::vector<std::string> texts = messages(try_ranks(communicators, [](Communicator& ranks) {
    ranks.set_phase(3, "save");
    if (ranks.rank() == 1) {
      ranks.abort("no space left on device");
      EXPECT_THROW(ranks.gather_bytes("x"), core::RankError) << "a call after the abort";
    }
    ranks.barrier();
  }));
  EXPECT_THAT(texts[1], HasSubstr("rank 1 of 3: update 3, save: no space left on device"));
  for (const size_t rank : {0u, 2u}) {
    EXPECT_THAT(texts[rank],
                HasSubstr("collective 1 (barrier): rank 1 gave up at update 3, save: no space left on device"));
  }
}

TEST(ThreadCommunicators, AreEndedByARankThatLeavesWithAnError) {
  std::vector<std::string> texts;
  auto communicators = make_thread_communicators(2, 60);
  texts = messages(try_ranks(communicators, [&](Communicator& ranks) {
    if (ranks.rank() == 0) {
      ranks.barrier();
      return;
    }
    try {
      const std::unique_ptr<Communicator> owned = std::move(communicators[1]);
      owned->set_phase(7, "backward");
      throw std::runtime_error("something of its own");
    } catch (const std::runtime_error&) {
    }
    throw core::RankError("done");
  }));
  EXPECT_THAT(texts[0], HasSubstr("rank 1 gave up at update 7, backward: it leaves because of an error"));
}

TEST(ThreadCommunicators, NoticeRanksThatAreNotAtTheSamePlace) {
  auto communicators = make_thread_communicators(2, 60);
  const std::vector<std::string> texts = messages(try_ranks(communicators, [](Communicator& ranks) {
    const at::Tensor values = at::ones({ranks.rank() == 0 ? 100 : 200});
    ranks.wait(ranks.reduce_scatter(values, own_part(values, ranks)));
  }));
  for (const std::string& text : texts) {
    EXPECT_THAT(text, AllOf(HasSubstr("reduce_scatter of 200 elements"), HasSubstr("reduce_scatter of 100 elements"),
                            HasSubstr("do not run the same experiment")));
  }
}

}  // namespace
}  // namespace txtsum::parallel
