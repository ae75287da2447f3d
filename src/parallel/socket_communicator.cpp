#include <poll.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "byte_communicator.h"
#include "byte_transport.h"
#include "socket_rendezvous.h"
#include "txtsum/core/check.h"
#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {
namespace {

constexpr int64_t kMostReasonBytes = 4000;

double now() { return core::system_clock().monotonic_seconds(); }

/// Goes ahead of everything on a connection.
struct Header {
  enum Kind : int64_t { kData = 0x7478'7401, kGaveUp = 0x7478'7402 };
  int64_t kind = kData;
  int64_t length = 0;  ///< Bytes that follow.
  ExchangeLabel label;
};

/// The connection to one rank. A side that has closed is an error only for who still waits for it: ranks end at
/// different times.
class Connection {
 public:
  Connection(Socket socket, int64_t peer) : socket_(std::move(socket)), peer_(peer) {}

  void start(const ExchangeLabel& label, std::span<const std::byte> send, std::span<std::byte> receive) {
    label_ = label;
    out_header_ = {Header::kData, static_cast<int64_t>(send.size()), label};
    out_ = send;
    out_sent_ = 0;
    in_ = receive;
    in_received_ = 0;
    has_come_ = false;
  }

  bool has_come() const { return has_come_; }
  bool has_sent() const { return out_sent_ == sizeof out_header_ + out_.size(); }
  /// Throws where the other side has closed, or has said that it gives up.
  void listen() {
    receive();
    end_if_gone();
    if (is_closed_) fail_closed();
  }
  /// Throws where the other side has said that it gives up.
  void end_if_gone() const {
    if (farewell_from_peer_) throw PeerGaveUp(*farewell_from_peer_);
  }

  /// What it waits for; a negative descriptor where there is nothing.
  pollfd watched() const {
    short events = 0;
    if (!is_closed_ && (!has_come_ || header_received_ < sizeof in_header_)) events |= POLLIN;
    if (!has_sent()) events |= POLLOUT;
    return {events == 0 ? -1 : socket_.descriptor(), events, 0};
  }

  /// Takes what is there of the current exchange, and the header of what comes after it: a peer that gives up is heard
  /// while others are waited for (end_if_gone), and does not undo what it has sent before.
  void receive() {
    while (!is_closed_ && !farewell_from_peer_) {
      if (header_received_ < sizeof in_header_) {
        if (!fill(&in_header_, sizeof in_header_, header_received_)) break;
        if (in_header_.kind == Header::kGaveUp) {
          hear_reason();
          break;
        }
        if (in_header_.kind != Header::kData) {
          throw std::runtime_error("rank " + std::to_string(peer_) + " sends what is no message of this version");
        }
      }
      if (has_come_) return;
      const std::string problem = disagreement(label_, in_header_.label, peer_);
      if (!problem.empty()) throw std::runtime_error(problem);
      TXTSUM_CHECK(in_header_.length == static_cast<int64_t>(in_.size()), in_header_.length, " ", in_.size());
      if (in_received_ < in_.size() && !fill(in_.data(), in_.size(), in_received_)) break;
      has_come_ = true;
      header_received_ = 0;
    }
    if (!has_come_) end_if_gone();
    if (is_closed_ && !has_come_) fail_closed();
  }

  void send() {
    try {
      while (out_sent_ < sizeof out_header_) {
        const size_t sent =
            socket_.send_some(reinterpret_cast<const char*>(&out_header_) + out_sent_, sizeof out_header_ - out_sent_);
        out_sent_ += sent;
        if (sent == 0) return;
      }
      while (!has_sent()) {
        const size_t done = out_sent_ - sizeof out_header_;
        const size_t sent = socket_.send_some(out_.data() + done, out_.size() - done);
        out_sent_ += sent;
        if (sent == 0) return;
      }
    } catch (const std::runtime_error&) {
      receive();  // What it said before it went.
      end_if_gone();
      fail_closed();
    }
  }

  /// Puts the news behind what is being sent.
  void begin_farewell(const std::string& reason) {
    farewell_.resize(sizeof(Header));
    const Header header{Header::kGaveUp, static_cast<int64_t>(reason.size()), label_};
    std::copy_n(reinterpret_cast<const char*>(&header), sizeof header, farewell_.data());
    farewell_ += reason;
  }

  /// Whether the other side has heard it: it has ended its own side.
  bool farewell() {
    try {
      if (!has_sent()) send();
      if (has_sent() && !farewell_.empty()) {
        farewell_.erase(0, socket_.send_some(farewell_.data(), farewell_.size()));
        if (farewell_.empty()) socket_.end_sending();
      }
      std::array<char, 65536> ignored;
      int64_t received = 0;
      while ((received = socket_.receive_some(ignored.data(), ignored.size())) > 0) continue;
      return received < 0;
    } catch (const std::exception&) {
      return true;
    }
  }

 private:
  /// Whether all `length` bytes are there now.
  bool fill(void* bytes, size_t length, size_t& received) {
    while (received < length) {
      const int64_t more = socket_.receive_some(static_cast<char*>(bytes) + received, length - received);
      if (more < 0) is_closed_ = true;
      if (more <= 0) return false;
      received += static_cast<size_t>(more);
    }
    return true;
  }

  void hear_reason() {
    std::string reason(static_cast<size_t>(std::clamp(in_header_.length, int64_t{0}, kMostReasonBytes)), '\0');
    if (!socket_.receive_all(reason.data(), reason.size(), now() + 1.0)) {
      reason = "rank " + std::to_string(peer_) + " gave up";
    }
    farewell_from_peer_ = reason;
  }

  [[noreturn]] void fail_closed() const {
    throw std::runtime_error("rank " + std::to_string(peer_) +
                             " has closed its connection: it has ended or was killed");
  }

  Socket socket_;
  int64_t peer_;
  ExchangeLabel label_;
  Header out_header_;
  std::span<const std::byte> out_;
  size_t out_sent_ = sizeof(Header);  ///< Of the header and what follows.
  Header in_header_;
  size_t header_received_ = 0;
  std::span<std::byte> in_;
  size_t in_received_ = 0;
  bool has_come_ = true, is_closed_ = false;
  std::string farewell_;
  std::optional<std::string> farewell_from_peer_;
};

class SocketTransport final : public ByteTransport {
 public:
  SocketTransport(const RankEnvironment& environment, double deadline_seconds)
      : rank_(environment.rank), world_(environment.world) {
    std::vector<Socket> sockets = connect_ranks(environment, deadline_seconds);
    for (int64_t r = 0; r < world_; ++r) {
      if (r == rank_) continue;
      peers_.push_back(r);
      connections_.emplace_back(std::move(sockets[static_cast<size_t>(r)]), r);
    }
  }

  int64_t rank() const override { return rank_; }
  int64_t world() const override { return world_; }

  void start(const Exchange& exchange) override {
    for (size_t i = 0; i < peers_.size(); ++i) {
      const auto peer = static_cast<size_t>(peers_[i]);
      connections_[i].start(exchange.label, exchange.send[peer], exchange.receive[peer]);
    }
  }

  bool progress(double seconds) override {
    if (move()) return true;
    watch(seconds);
    return move();
  }

  std::vector<int64_t> missing() const override {
    std::vector<int64_t> ranks;
    for (size_t i = 0; i < peers_.size(); ++i) {
      if (!connections_[i].has_come()) ranks.push_back(peers_[i]);
    }
    return ranks;
  }

  void listen() override {
    for (Connection& each : connections_) each.listen();
  }

  void give_up(const std::string& reason, double grace_seconds) noexcept override {
    const double until = now() + grace_seconds;
    for (Connection& each : connections_) each.begin_farewell(reason.substr(0, kMostReasonBytes));
    while (true) {
      bool all_heard = true;
      // Who has not come may stand still: it is told, not waited for.
      for (Connection& each : connections_) all_heard = (each.farewell() || !each.has_come()) && all_heard;
      if (all_heard || now() > until) return;
      ::poll(nullptr, 0, 2);
    }
  }

 private:
  /// Receives first: why a peer has gone comes before that it has.
  bool move() {
    bool is_over = true;
    for (Connection& each : connections_) each.receive();
    for (Connection& each : connections_) {
      each.send();
      is_over = is_over && each.has_come() && each.has_sent();
    }
    if (!is_over) {
      for (const Connection& each : connections_) each.end_if_gone();
    }
    return is_over;
  }

  void watch(double seconds) {
    std::vector<pollfd> watched;
    for (const Connection& each : connections_) watched.push_back(each.watched());
    ::poll(watched.data(), watched.size(), std::max(1, static_cast<int>(seconds * 1000)));
  }

  int64_t rank_, world_;
  std::vector<int64_t> peers_;
  std::vector<Connection> connections_;  ///< In the order of peers_.
};

}  // namespace

std::unique_ptr<Communicator> make_socket_communicator(const RankEnvironment& environment, double deadline_seconds) {
  return std::make_unique<ByteCommunicator>(
      [&] { return std::make_unique<SocketTransport>(environment, deadline_seconds); }, deadline_seconds);
}

}  // namespace txtsum::parallel
