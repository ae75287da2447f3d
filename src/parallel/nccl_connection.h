#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAEvent.h>
#include <nccl.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {

/// A collective on the GPU.
struct NcclTicket final : Ticket {
  at::cuda::CUDAEvent over;  ///< Recorded behind it.
  /// What it reads and writes, until it has been waited for. That comes before anything which may get this memory next:
  /// the allocator gives it out again for the stream that it was made for, and that stream has waited.
  std::vector<at::Tensor> tensors;
  std::string place;
  double began_seconds = 0.0;
  bool in_graph = false;  ///< Being captured: nothing runs yet, so there is nothing to watch.
  TicketRef host;         ///< Of tensors in host memory: the host communicator's.
};

/// Why a connection has ended.
struct NcclFailure {
  std::string text;         ///< `rank 1 of 2: update 5, backward, collective 9 (...): not over within 60 s`.
  std::string place, what;  ///< Of that text. Empty where the failure is the host communicator's.
};

/// NCCL's connection of this rank, and the thread that watches what runs on it. After a failure NCCL is made to
/// give up: its kernels end, and with them whatever waits for the GPU.
class NcclConnection {
 public:
  /// Connects the current GPU to those of the ranks of `host`, which is asked whether they are still there. Throws
  /// RankError, which says `place`, where that is not done within the deadline.
  NcclConnection(std::shared_ptr<Communicator> host, const ncclUniqueId& id, const std::string& place,
                 double deadline_seconds);
  /// Ends it; waits for a few seconds at most.
  ~NcclConnection();
  NcclConnection(const NcclConnection&) = delete;
  NcclConnection& operator=(const NcclConnection&) = delete;

  /// Has NCCL put a collective on a stream; it is there when this returns. Throws RankError after a failure.
  void start(const std::string& place, const std::function<ncclResult_t(ncclComm_t)>& put);
  /// From now on the deadline of a collective counts, from its beginning or from when the one before it was over.
  void watch(const std::shared_ptr<NcclTicket>& ticket);
  /// Waits until nothing is under way, or until there is a failure.
  void drain();

  /// Ends everything with a failure(); only the first counts.
  void fail(const std::string& place, const std::string& what);
  /// With one of the host communicator.
  void fail(const std::string& text);
  /// Its text is empty while all is well.
  NcclFailure failure() const;
  /// Throws its text as RankError.
  void check() const;

 private:
  struct State;
  static void keep_watch(const std::shared_ptr<State>& state);
  void connect(const ncclUniqueId& id, const std::string& place);
  void await(const std::string& place, const std::string& late);
  void finish();

  std::shared_ptr<State> state_;  ///< With the thread, which may outlive this where NCCL does not come back.
  std::thread thread_;
};

}  // namespace txtsum::parallel
