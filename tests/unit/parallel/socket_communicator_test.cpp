#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "support/collective_script.h"
#include "support/rank_threads.h"
#include "txtsum/core/error.h"

namespace txtsum::parallel {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using tests::own_part;

/// A listening socket at a free port of the loopback; closed at the end.
class Listener {
 public:
  Listener() : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(descriptor_, 1), 0);
    ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(descriptor_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  int64_t port() const { return port_; }

 private:
  int descriptor_;
  int64_t port_ = 0;
};

int64_t free_port() { return Listener().port(); }

RankEnvironment rank_of(int64_t rank, int64_t world, int64_t port) {
  RankEnvironment environment;
  environment.source = RankSource::kVariables;
  environment.rank = environment.local_rank = rank;
  environment.world = environment.local_world = world;
  environment.master_address = "127.0.0.1";
  environment.master_port = port;
  return environment;
}

using Body = std::function<void(std::unique_ptr<Communicator>&)>;

/// Runs `body` on `world` ranks as threads that are connected by sockets; returns what each threw.
std::vector<std::string> run_sockets(int64_t world, double deadline_seconds, const Body& body) {
  const int64_t port = free_port();
  std::vector<std::string> texts(static_cast<size_t>(world));
  std::vector<std::thread> threads;
  for (int64_t r = 0; r < world; ++r) {
    threads.emplace_back([&, r] {
      try {
        std::unique_ptr<Communicator> ranks = make_socket_communicator(rank_of(r, world, port), deadline_seconds);
        body(ranks);
      } catch (const core::RankError& error) {
        texts[static_cast<size_t>(r)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return texts;
}

TEST(SocketCommunicator, GivesTheBitsOfTheThreads) {
  for (int64_t world = 1; world <= 4; ++world) {
    std::vector<std::string> wanted(static_cast<size_t>(world)), found(wanted);
    tests::run_ranks(
        world, [&](Communicator& ranks) { wanted[static_cast<size_t>(ranks.rank())] = tests::run_collectives(ranks); });
    const std::vector<std::string> problems = run_sockets(world, 60, [&](std::unique_ptr<Communicator>& ranks) {
      found[static_cast<size_t>(ranks->rank())] = tests::run_collectives(*ranks);
    });
    EXPECT_EQ(problems, std::vector<std::string>(static_cast<size_t>(world)));
    EXPECT_TRUE(found == wanted) << world << " ranks";
  }
}

TEST(SocketCommunicator, NoticesAtOnceThatARankHasEnded) {
  const auto began = std::chrono::steady_clock::now();
  const std::vector<std::string> texts = run_sockets(3, 60, [](std::unique_ptr<Communicator>& ranks) {
    ranks->set_phase(4, "backward");
    ranks->barrier();
    if (ranks->rank() == 1) return;
    const at::Tensor values = at::ones({1000});
    ranks->wait(ranks->reduce_scatter(values, own_part(values, *ranks)));
  });
  EXPECT_EQ(texts[1], "");
  for (const size_t rank : {0u, 2u}) {
    EXPECT_THAT(texts[rank], AllOf(HasSubstr("update 4, backward, collective 2 (reduce_scatter of 1000 elements)"),
                                   HasSubstr("rank 1 has closed its connection")));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

/// What is heard of the peers within 10 s, without a collective.
std::string hear(Communicator& ranks) {
  for (int64_t i = 0; i < 1000 && ranks.peer_problem().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return ranks.peer_problem();
}

TEST(SocketCommunicator, HearsBetweenCollectivesThatARankHasEnded) {
  std::string heard;
  const std::vector<std::string> texts = run_sockets(2, 60, [&](std::unique_ptr<Communicator>& ranks) {
    ranks->barrier();
    EXPECT_EQ(ranks->peer_problem(), "");
    ranks->barrier();
    if (ranks->rank() == 1) return;
    heard = hear(*ranks);
    ranks->barrier();
  });
  EXPECT_THAT(heard, HasSubstr("rank 1 has closed its connection"));
  EXPECT_THAT(texts[0], HasSubstr("collective 3 (barrier): rank 1 has closed its connection"));
}

TEST(SocketCommunicator, HearsBetweenCollectivesWhyARankGaveUp) {
  std::string heard;
  const std::vector<std::string> texts = run_sockets(2, 60, [&](std::unique_ptr<Communicator>& ranks) {
    ranks->barrier();
    if (ranks->rank() == 1) return ranks->abort("no space left on device");
    heard = hear(*ranks);
    ranks->barrier();
  });
  const std::string wanted = "rank 1 gave up at update 0, start, collective 1 (barrier): no space left on device";
  EXPECT_EQ(heard, wanted);
  EXPECT_EQ(texts[0], "rank 0 of 2: update 0, start, collective 2 (barrier): " + wanted);
}

/// The news follows at once on what was sent: often enough both are there when the other side looks.
TEST(SocketCommunicator, GivingUpDoesNotUndoWhatWasSentBefore) {
  for (int i = 0; i < 15; ++i) {
    std::vector<std::string> gathered;
    const std::vector<std::string> texts = run_sockets(2, 60, [&](std::unique_ptr<Communicator>& ranks) {
      const std::vector<std::string> all = ranks->gather_bytes(std::string(1000, 'x'));
      if (ranks->rank() == 1) return ranks->abort("no space left on device");
      gathered = all;
      ranks->barrier();
    });
    ASSERT_EQ(gathered.size(), 2u) << texts[0];
    EXPECT_THAT(texts[0], HasSubstr("collective 2 (barrier): rank 1 gave up"));
  }
}

TEST(SocketCommunicator, HearsNothingWhereAPeerIsOnlyAhead) {
  const std::vector<std::string> texts = run_sockets(2, 60, [&](std::unique_ptr<Communicator>& ranks) {
    EXPECT_EQ(ranks->peer_problem(), "");
    const at::Tensor values = at::ones({1'000'000});
    for (int64_t i = 0; i < 3; ++i) {
      if (ranks->rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
      EXPECT_EQ(ranks->peer_problem(), "");
      ranks->wait(ranks->broadcast(values, 1));
    }
  });
  EXPECT_EQ(texts, std::vector<std::string>(2));
}

TEST(SocketCommunicator, GivesUpAtTheDeadlineAndSaysWhoHasNotCome) {
  const std::vector<std::string> texts = run_sockets(3, 0.5, [](std::unique_ptr<Communicator>& ranks) {
    ranks->barrier();
    if (ranks->rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    // More than a socket's buffers hold.
    const at::Tensor values = at::ones({8'000'000});
    ranks->wait(ranks->reduce_scatter(values, own_part(values, *ranks)));
  });
  for (const size_t rank : {1u, 2u}) {
    EXPECT_THAT(texts[rank], AllOf(HasSubstr("collective 2"), HasSubstr("not over within 0.5 s; rank 0 has not come")));
  }
  EXPECT_THAT(texts[0], AnyOf(HasSubstr("gave up at"), HasSubstr("has closed its connection")));
}

TEST(SocketCommunicator, TellsTheOthersWhyARankLeaves) {
  const std::vector<std::string> texts = run_sockets(3, 60, [](std::unique_ptr<Communicator>& ranks) {
    ranks->set_phase(9, "save");
    if (ranks->rank() == 2) ranks->abort("no space left on device");
    ranks->barrier();
  });
  EXPECT_THAT(texts[2], HasSubstr("rank 2 of 3: update 9, save: no space left on device"));
  for (const size_t rank : {0u, 1u}) {
    EXPECT_THAT(texts[rank], HasSubstr("rank 2 gave up at update 9, save: no space left on device"));
  }
}

TEST(SocketCommunicator, NoticesRanksThatAreNotAtTheSamePlace) {
  const std::vector<std::string> texts = run_sockets(2, 60, [](std::unique_ptr<Communicator>& ranks) {
    const at::Tensor values = at::ones({ranks->rank() == 0 ? 100 : 200});
    ranks->wait(ranks->all_gather(own_part(values, *ranks), values));
  });
  EXPECT_THAT(texts, testing::Each(HasSubstr("do not run the same experiment")));
}

std::string start_problem(const RankEnvironment& environment, double deadline_seconds) {
  try {
    make_socket_communicator(environment, deadline_seconds);
  } catch (const core::Error& error) {
    return std::to_string(error.exit_code()) + " " + error.what();
  }
  return "";
}

TEST(SocketCommunicator, SaysWhoHasNotComeToTheStart) {
  EXPECT_THAT(start_problem(rank_of(0, 3, free_port()), 0.3),
              AllOf(HasSubstr("71 rank 0 of 3: start"), HasSubstr("these ranks have not come: 1, 2 within 0.3 s")));
  EXPECT_THAT(start_problem(rank_of(1, 3, free_port()), 0.3),
              AllOf(HasSubstr("71 rank 1 of 3: start"), HasSubstr("rank 0 does not answer at 127.0.0.1:")));
}

TEST(SocketCommunicator, RefusesAnAddressOrPortOfNoUse) {
  const Listener taken;
  EXPECT_THAT(start_problem(rank_of(0, 2, taken.port()), 5),
              AllOf(HasSubstr("2 rank 0 cannot wait"), HasSubstr("set MASTER_PORT to a port that is free")));
  RankEnvironment environment = rank_of(1, 2, 29500);
  environment.master_address = "no such host";
  EXPECT_THAT(start_problem(environment, 5), HasSubstr("2 environment variable MASTER_ADDR: the host"));
}

// Whoever scans ports, or asks a rank for a web page, does not disturb the ranks.
TEST(SocketCommunicator, IsNotDisturbedByStrangers) {
  const int64_t port = free_port();
  std::thread zero([&] { make_socket_communicator(rank_of(0, 2, port), 20)->barrier(); });
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const int stranger = ::socket(AF_INET, SOCK_STREAM, 0);
  while (::connect(stranger, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const std::string request = "GET / HTTP/1.1\r\nHost: somewhere\r\nUser-Agent: a stranger\r\n\r\n";
  EXPECT_GT(::send(stranger, request.data(), request.size(), MSG_NOSIGNAL), 0);
  make_socket_communicator(rank_of(1, 2, port), 20)->barrier();
  zero.join();
  ::close(stranger);
}

TEST(SocketCommunicator, RefusesTwoOfTheSameRank) {
  const int64_t port = free_port();
  std::string problem;
  std::thread zero([&] { problem = start_problem(rank_of(0, 3, port), 10); });
  std::thread one([&] { start_problem(rank_of(1, 3, port), 10); });
  start_problem(rank_of(1, 3, port), 10);
  zero.join();
  one.join();
  EXPECT_THAT(problem, HasSubstr("two processes say that they are rank 1"));
}

}  // namespace
}  // namespace txtsum::parallel
