// libtxtsum_mpi.so: bytes over MPI (mpi_interface.h).

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "mpi_interface.h"

namespace txtsum::parallel {
namespace {

enum Tag { kLabelTag = 1, kBytesTag = 2, kGaveUpTag = 3 };
/// Small enough to be sent before the other side asks for it.
constexpr size_t kMostReasonBytes = 2000;
/// MPI has nothing to wait with for a while only: it is asked again and again, first at once, then in these steps.
constexpr double kEagerSeconds = 20e-6;
constexpr auto kPause = std::chrono::microseconds(20);

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

void check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw std::runtime_error(std::string("MPI: ") + what + ": " + std::string(text, static_cast<size_t>(length)));
}

/// Lets others have the processor, for longer the longer nothing has happened.
void pause(Clock::time_point waiting_since) {
  if (seconds_since(waiting_since) < kEagerSeconds) {
    ::sched_yield();
  } else {
    std::this_thread::sleep_for(kPause);
  }
}

/// What is under way between this rank and another.
struct Peer {
  int rank = 0;
  ExchangeLabel label;
  MPI_Request send_label = MPI_REQUEST_NULL, send_bytes = MPI_REQUEST_NULL;
  MPI_Request receive_label = MPI_REQUEST_NULL, receive_bytes = MPI_REQUEST_NULL;
  bool label_came = true;
  bool gave_up = false;  ///< And has said so.

  bool has_come() const { return label_came && receive_bytes == MPI_REQUEST_NULL; }
  bool is_over() const { return has_come() && send_label == MPI_REQUEST_NULL && send_bytes == MPI_REQUEST_NULL; }
};

class MpiTransport final : public ByteTransport {
 public:
  explicit MpiTransport(double deadline_seconds) : deadline_seconds_(deadline_seconds) {
    int given = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given), "MPI_Init_thread");
    if (given < MPI_THREAD_FUNNELED) throw std::runtime_error("MPI: the library is built without threads");
    check(MPI_Comm_dup(MPI_COMM_WORLD, &ranks_), "MPI_Comm_dup");
    check(MPI_Comm_set_errhandler(ranks_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_rank(ranks_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(ranks_, &world_), "MPI_Comm_size");
    for (int r = 0; r < world_; ++r) {
      if (r == rank_) continue;
      peers_.emplace_back().rank = r;
    }
  }

  // MPI_Finalize waits for all ranks, for ever: it is called where all are known to be there. A process that ends
  // without it has mpirun end the others, which is right after a failure.
  ~MpiTransport() override {
    if (!gave_up_ && all_leave()) MPI_Finalize();
  }

  int64_t rank() const override { return rank_; }
  int64_t world() const override { return world_; }

  void start(const Exchange& exchange) override {
    label_ = exchange.label;
    for (Peer& peer : peers_) {
      const std::span<std::byte> receive = exchange.receive[static_cast<size_t>(peer.rank)];
      peer.label_came = false;
      check(MPI_Irecv(&peer.label, sizeof peer.label, MPI_BYTE, peer.rank, kLabelTag, ranks_, &peer.receive_label),
            "MPI_Irecv");
      if (receive.empty()) continue;
      check(MPI_Irecv(receive.data(), static_cast<int>(receive.size()), MPI_BYTE, peer.rank, kBytesTag, ranks_,
                      &peer.receive_bytes),
            "MPI_Irecv");
    }
    for (Peer& peer : peers_) {
      const std::span<const std::byte> send = exchange.send[static_cast<size_t>(peer.rank)];
      check(MPI_Isend(&label_, sizeof label_, MPI_BYTE, peer.rank, kLabelTag, ranks_, &peer.send_label), "MPI_Isend");
      if (send.empty()) continue;
      check(MPI_Isend(send.data(), static_cast<int>(send.size()), MPI_BYTE, peer.rank, kBytesTag, ranks_,
                      &peer.send_bytes),
            "MPI_Isend");
    }
  }

  bool progress(double seconds) override {
    const Clock::time_point began = Clock::now();
    while (!move()) {
      hear_reason();
      if (seconds_since(began) > seconds) return false;
      pause(began);
    }
    return true;
  }

  std::vector<int64_t> missing() const override {
    std::vector<int64_t> ranks;
    for (const Peer& peer : peers_) {
      if (!peer.has_come()) ranks.push_back(peer.rank);
    }
    return ranks;
  }

  void give_up(const std::string& reason, double grace_seconds) noexcept override {
    gave_up_ = true;
    reason_ = reason.substr(0, kMostReasonBytes);
    std::vector<MPI_Request> sends(peers_.size(), MPI_REQUEST_NULL);
    std::vector<bool> has_heard(peers_.size(), false);
    for (size_t i = 0; i < peers_.size(); ++i) {
      MPI_Isend(reason_.data(), static_cast<int>(reason_.size()), MPI_BYTE, peers_[i].rank, kGaveUpTag, ranks_,
                &sends[i]);
      // Who has not come may stand still or be gone: it is told, not waited for.
      has_heard[i] = !peers_[i].has_come() || peers_[i].gave_up;
    }
    // A rank that has heard it gives up too, and says so.
    const Clock::time_point began = Clock::now();
    while (std::find(has_heard.begin(), has_heard.end(), false) != has_heard.end() &&
           seconds_since(began) < grace_seconds) {
      for (size_t i = 0; i < peers_.size(); ++i) has_heard[i] = has_heard[i] || hears_from(peers_[i].rank);
      pause(began);
    }
    int all_sent = 0;
    MPI_Testall(static_cast<int>(sends.size()), sends.data(), &all_sent, MPI_STATUSES_IGNORE);
  }

 private:
  static bool is_done(MPI_Request& request) {
    if (request == MPI_REQUEST_NULL) return true;
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  }

  bool move() {
    bool is_over = true;
    for (Peer& peer : peers_) {
      if (!peer.label_came && is_done(peer.receive_label)) {
        const std::string problem = disagreement(label_, peer.label, peer.rank);
        if (!problem.empty()) throw std::runtime_error(problem);
        peer.label_came = true;
      }
      is_done(peer.receive_bytes);
      is_done(peer.send_label);
      is_done(peer.send_bytes);
      is_over = is_over && peer.is_over();
    }
    return is_over;
  }

  bool hears_from(int peer) {
    int came = 0;
    MPI_Iprobe(peer, kGaveUpTag, ranks_, &came, MPI_STATUS_IGNORE);
    return came != 0;
  }

  void hear_reason() {
    int came = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, kGaveUpTag, ranks_, &came, &status), "MPI_Iprobe");
    if (came == 0) return;
    std::string reason(kMostReasonBytes, '\0');
    int length = 0;
    check(MPI_Recv(reason.data(), static_cast<int>(reason.size()), MPI_BYTE, status.MPI_SOURCE, kGaveUpTag, ranks_,
                   &status),
          "MPI_Recv");
    check(MPI_Get_count(&status, MPI_BYTE, &length), "MPI_Get_count");
    for (Peer& peer : peers_) peer.gave_up = peer.gave_up || peer.rank == status.MPI_SOURCE;
    reason.resize(static_cast<size_t>(std::max(length, 0)));
    throw PeerGaveUp(reason);
  }

  /// Whether all ranks leave within the deadline.
  bool all_leave() {
    MPI_Request all = MPI_REQUEST_NULL;
    const Clock::time_point began = Clock::now();
    int done = 0;
    if (MPI_Ibarrier(ranks_, &all) != MPI_SUCCESS) return false;
    while (MPI_Test(&all, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done == 0) {
      int came = 0;
      MPI_Iprobe(MPI_ANY_SOURCE, kGaveUpTag, ranks_, &came, MPI_STATUS_IGNORE);
      if (came != 0 || seconds_since(began) > deadline_seconds_) return false;
      pause(began);
    }
    return done != 0;
  }

  double deadline_seconds_;
  MPI_Comm ranks_ = MPI_COMM_NULL;
  int rank_ = 0, world_ = 1;
  std::vector<Peer> peers_;
  ExchangeLabel label_;
  std::string reason_;
  bool gave_up_ = false;
};

}  // namespace
}  // namespace txtsum::parallel

extern "C" __attribute__((visibility("default"))) std::unique_ptr<txtsum::parallel::ByteTransport>
txtsum_open_mpi_transport_2(double deadline_seconds) {
  return std::make_unique<txtsum::parallel::MpiTransport>(deadline_seconds);
}
