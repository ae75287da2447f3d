#include "socket_rendezvous.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "seconds_text.h"
#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::parallel {
namespace {

/// The name has the protocol's version.
constexpr char kGreeting[16] = "txtsum-ranks-1\n";
/// A stranger who connects and says nothing (a port scanner) holds the others up for this long.
constexpr double kHelloSeconds = 2.0;

/// What a rank says first where it connects.
struct Hello {
  char greeting[16] = {};
  int64_t rank = 0, world = 0;
  int64_t port = 0;  ///< Where it listens for higher ranks.
};

/// One meeting, until its deadline.
class Rendezvous {
 public:
  Rendezvous(const RankEnvironment& environment, double deadline_seconds)
      : environment_(environment),
        deadline_seconds_(deadline_seconds),
        deadline_(core::system_clock().monotonic_seconds() + deadline_seconds),
        ranks_(static_cast<size_t>(environment.world)) {}

  std::vector<Socket> meet() {
    const SocketAddress master = master_address();
    if (environment_.rank == 0) {
      gather(master);
    } else {
      join(master);
    }
    return std::move(ranks_);
  }

 private:
  std::string place() const {
    return environment_.master_address + ":" + std::to_string(environment_.master_port) + " (MASTER_ADDR:MASTER_PORT)";
  }
  bool is_one_machine() const {
    const std::string& address = environment_.master_address;
    return environment_.local_world == environment_.world || address == "localhost" || address == "::1" ||
           address.starts_with("127.");
  }
  [[noreturn]] void fail(const std::string& what) const {
    if (const int signal = core::stop_signal()) {
      throw core::StoppedBySignal("stopped while the ranks came together; nothing was begun", signal);
    }
    throw core::RankError("rank " + std::to_string(environment_.rank) + " of " + std::to_string(environment_.world) +
                          ": start: " + what);
  }

  SocketAddress master_address() const {
    try {
      return resolve(environment_.master_address, environment_.master_port);
    } catch (const std::runtime_error& error) {
      throw core::UserError("environment variable MASTER_ADDR: " + std::string(error.what()) +
                            "; it is the name or address of rank 0's machine");
    }
  }

  void gather(const SocketAddress& master) {
    Socket listener;
    try {
      listener = listen_at(master.listening(environment_.master_port, is_one_machine()), environment_.world);
    } catch (const std::runtime_error& error) {
      throw core::UserError("rank 0 cannot wait for the others at " + place() + ": " + error.what() +
                            "; set MASTER_PORT to a port that is free");
    }
    std::vector<SocketAddress> addresses(ranks_.size());
    accept_ranks(listener, 1, &addresses);
    replace_loopback(addresses);
    for (size_t r = 1; r < ranks_.size(); ++r) {
      if (!ranks_[r].send_all(addresses.data(), addresses.size() * sizeof addresses[0], deadline_)) {
        fail("rank " + std::to_string(r) + " has gone while the ranks came together");
      }
    }
  }

  // Many systems give a machine's own name an address of the loopback, so rank 0's neighbours come from there. The
  // others reach them where they have reached rank 0.
  void replace_loopback(std::vector<SocketAddress>& addresses) const {
    for (size_t remote = 1; remote < addresses.size(); ++remote) {
      if (addresses[remote].is_loopback()) continue;
      const SocketAddress own = own_address(ranks_[remote]);
      for (size_t r = 1; r < addresses.size(); ++r) {
        if (addresses[r].is_loopback()) addresses[r] = own.with_port(addresses[r].port());
      }
      return;
    }
  }

  void join(const SocketAddress& master) {
    std::string problem;
    Socket zero = connect_until(master, deadline_, problem);
    if (!zero.is_open()) fail("rank 0 does not answer at " + place() + " within " + seconds() + " (" + problem + ")");
    const Socket listener = listen_at(own_address(zero).listening(0, is_one_machine()), environment_.world);
    say_hello(zero, own_address(listener).port());
    std::vector<SocketAddress> addresses(ranks_.size());
    if (!readable_until(zero, deadline_) ||
        !zero.receive_all(addresses.data(), addresses.size() * sizeof addresses[0], deadline_)) {
      fail("rank 0 has not said where the other ranks are within " + seconds() +
           ": it has gone, or not all have come; the output of rank 0 says more");
    }
    ranks_[0] = std::move(zero);
    for (int64_t r = 1; r < environment_.rank; ++r) {
      Socket& lower = ranks_[static_cast<size_t>(r)];
      lower = connect_until(addresses[static_cast<size_t>(r)], deadline_, problem);
      if (!lower.is_open()) fail("rank " + std::to_string(r) + " does not answer: " + problem);
      say_hello(lower, 0);
    }
    accept_ranks(listener, environment_.rank + 1, nullptr);
  }

  void say_hello(Socket& socket, int64_t port) {
    Hello hello;
    std::memcpy(hello.greeting, kGreeting, sizeof kGreeting);
    hello.rank = environment_.rank;
    hello.world = environment_.world;
    hello.port = port;
    if (!socket.send_all(&hello, sizeof hello, deadline_)) fail("a rank has gone while the ranks came together");
  }

  /// Until all from `first` on have come. `addresses`: where to write where they listen; may be null.
  void accept_ranks(const Socket& listener, int64_t first, std::vector<SocketAddress>* addresses) {
    for (int64_t wanted = environment_.world - first; wanted > 0;) {
      Socket socket = accept_until(listener, deadline_);
      if (!socket.is_open()) fail(missing_text(first) + " within " + seconds());
      Hello hello;
      const double hello_deadline = std::min(deadline_, core::system_clock().monotonic_seconds() + kHelloSeconds);
      if (!socket.receive_all(&hello, sizeof hello, hello_deadline)) continue;
      if (std::memcmp(hello.greeting, kGreeting, sizeof kGreeting) != 0) continue;
      if (hello.world != environment_.world || hello.rank < first || hello.rank >= environment_.world) {
        fail("a process says that it is rank " + std::to_string(hello.rank) + " of " + std::to_string(hello.world) +
             ": RANK and WORLD_SIZE do not fit together, or another run uses the same MASTER_PORT");
      }
      Socket& place_of_rank = ranks_[static_cast<size_t>(hello.rank)];
      if (place_of_rank.is_open()) {
        fail("two processes say that they are rank " + std::to_string(hello.rank) + ": RANK must differ");
      }
      if (addresses != nullptr) {
        (*addresses)[static_cast<size_t>(hello.rank)] = peer_address(socket).with_port(hello.port);
      }
      place_of_rank = std::move(socket);
      --wanted;
    }
  }

  std::string missing_text(int64_t first) const {
    std::string text;
    for (int64_t r = first; r < environment_.world; ++r) {
      if (!ranks_[static_cast<size_t>(r)].is_open()) text += (text.empty() ? "" : ", ") + std::to_string(r);
    }
    return "these ranks have not come: " + text;
  }

  std::string seconds() const { return seconds_text(deadline_seconds_); }

  const RankEnvironment& environment_;
  double deadline_seconds_, deadline_;
  std::vector<Socket> ranks_;
};

}  // namespace

std::vector<Socket> connect_ranks(const RankEnvironment& environment, double deadline_seconds) {
  return Rendezvous(environment, deadline_seconds).meet();
}

}  // namespace txtsum::parallel
