#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "byte_collectives.h"
#include "byte_transport.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {

/// The communicator over a transport of bytes. A thread of its own carries out the collectives, in the order in which
/// they were started, while the caller computes. Tensors on a GPU go through host memory.
class ByteCommunicator final : public Communicator {
 public:
  /// `open` is called in the communicator's thread, as is everything of the transport; what it throws is thrown here.
  ByteCommunicator(const std::function<std::unique_ptr<ByteTransport>()>& open, double deadline_seconds);
  /// Waits for what was started. While an exception goes through, tells the other ranks instead.
  ~ByteCommunicator() override;
  ByteCommunicator(const ByteCommunicator&) = delete;
  ByteCommunicator& operator=(const ByteCommunicator&) = delete;

  int64_t rank() const override { return rank_; }
  int64_t world() const override { return world_; }
  void wait(const TicketRef& ticket) override;
  std::string peer_problem() override;

 protected:
  TicketRef start_reduce_scatter(const at::Tensor& values, const at::Tensor& shard) override;
  TicketRef start_all_gather(const at::Tensor& shard, const at::Tensor& values) override;
  TicketRef start_broadcast(const at::Tensor& values, int64_t root) override;
  std::vector<std::string> exchange(const std::string& bytes) override;
  void abort_at(const std::string& place, const std::string& reason) override;

 private:
  struct Job;

  std::shared_ptr<Job> start(std::function<void()> carry_out);
  void work(const std::function<std::unique_ptr<ByteTransport>()>& open);
  bool open_transport(const std::function<std::unique_ptr<ByteTransport>()>& open);
  void carry_out(Job& job);
  std::string listen();
  void run_exchange(Exchange& exchange);
  void check_waiting();
  void warn_of_waiting();
  void give_up(const std::string& what, bool told_by_peer);
  void fail(const std::string& place, const std::string& what, bool told_by_peer);
  std::string who() const;

  const double deadline_seconds_;
  const int exceptions_at_start_;
  int64_t rank_ = 0, world_ = 1;

  // Of the communicator's thread.
  std::unique_ptr<ByteTransport> transport_;
  std::unique_ptr<ByteCollectives> collectives_;
  Job* job_ = nullptr;
  double job_began_seconds_ = 0.0, stop_seen_seconds_ = 0.0;
  int64_t exchanges_ = 0;
  bool has_warned_ = false, has_given_up_ = false;
  std::exception_ptr heard_;  ///< That a peer gave up, said between collectives: the next one ends with it.

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> jobs_;
  bool is_open_ = false, is_leaving_ = false, is_listening_ = false;
  std::string peer_problem_;
  std::exception_ptr open_problem_;
  std::string failure_;        ///< What every call throws from now on; empty while all is well.
  std::string peers_failure_;  ///< The same as the other ranks are told it.
  std::thread thread_;
};

}  // namespace txtsum::parallel
