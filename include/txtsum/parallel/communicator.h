#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "txtsum/parallel/part.h"

// The ranks of a run and what they exchange. n: number of ranks.

namespace txtsum::parallel {

/// A collective that was started. Holds its tensors until it is over.
class Ticket {
 public:
  virtual ~Ticket() = default;
};
using TicketRef = std::shared_ptr<Ticket>;

/// What a rank sent to others, as counted where it was sent.
struct TrafficCounts {
  int64_t reduce_scatter_elements = 0, all_gather_elements = 0, broadcast_elements = 0;
  int64_t bytes = 0;  ///< Of all of these.
  int64_t collectives = 0;
};

/// Collectives among the ranks of a run. Every rank starts the same ones in the same order, from one thread. A
/// collective on tensors has read what it reads and written what it writes when wait() for its ticket has returned: on
/// a CPU for the caller, on a GPU for what is put on the current stream after that. It begins after what is on the
/// current stream when it is started, and the tensors must stay as they are until then. Sums are made in fp32 (fp64 for
/// fp64), in an order that depends on sizes and the number of ranks alone, and rounded once; NCCL is an exception: it
/// adds in the tensor's type, rounds after every addition, and chooses the order by the links between the GPUs too. A
/// collective that is not over within the deadline, or whose peer has failed, makes this and all further calls throw
/// core::RankError with the step, the collective and the phase.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t world() const = 0;

  /// Writes into `shard` the sum over ranks of this rank's part of `values` (1-D; part_of). `shard` has the part's
  /// elements; it may be that part of `values`, and no other memory of it.
  TicketRef reduce_scatter(const at::Tensor& values, const at::Tensor& shard);
  /// Writes into `values` (1-D) the ranks' parts. `shard` has this rank's part, and may be it.
  TicketRef all_gather(const at::Tensor& shard, const at::Tensor& values);
  /// Replaces `values` by rank `root`'s.
  TicketRef broadcast(const at::Tensor& values, int64_t root);
  virtual void wait(const TicketRef& ticket) = 0;
  /// Whether a CUDA graph can hold collectives that are started and waited for while it is captured.
  virtual bool fits_graphs() const { return false; }
  /// Has the deadline count for what is on the current stream of a GPU by now, collectives of a CUDA graph, which
  /// nobody started when it was replayed; and counts `sent`, which is what they send.
  void watch_replay(const TrafficCounts& sent);
  /// What was counted as sent since counts() was `before`. Those collectives were captured in a graph and sent nothing:
  /// they are counted no more, but when they are replayed.
  TrafficCounts take_captured(const TrafficCounts& before);

  /// Replaces host numbers by their sums over ranks, added in rank order.
  void all_reduce(std::vector<double>& values);
  /// Every rank's bytes, in rank order. Lengths may differ.
  std::vector<std::string> gather_bytes(const std::string& bytes);
  /// Returns when every rank has called it.
  void barrier();

  /// What is said of this rank where a collective fails: the update and what the rank is at (`backward`, `save`).
  void set_phase(int64_t update, std::string phase);
  /// Makes the pending and all further collectives of every rank fail with `reason`.
  void abort(const std::string& reason);
  /// Why no collective can succeed any more, as far as that is known without one: another rank has gone or given up.
  /// Empty while all is well. For any thread; from the first call on it is looked for.
  virtual std::string peer_problem() { return {}; }
  const TrafficCounts& counts() const { return counts_; }

 protected:
  /// A collective, as messages name it: `collective 340 (reduce_scatter of 1048576 elements)`.
  struct Collective {
    int64_t number = 0;  ///< From 1, the same on every rank.
    std::string name;
    int64_t elements = 0;
  };

  virtual TicketRef start_reduce_scatter(const at::Tensor& values, const at::Tensor& shard) = 0;
  virtual TicketRef start_all_gather(const at::Tensor& shard, const at::Tensor& values) = 0;
  virtual TicketRef start_broadcast(const at::Tensor& values, int64_t root) = 0;
  virtual void start_watch() {}
  /// Every rank's bytes, in rank order, once all are there.
  virtual std::vector<std::string> exchange(const std::string& bytes) = 0;

  /// abort(), of what went wrong at `place`.
  virtual void abort_at(const std::string& place, const std::string& reason) = 0;

  /// Has `other`, which works in this one's stead, speak of this one's update and phase. It counts its own collectives:
  /// what a graph holds is counted where it was captured alone, and so not alike on all ranks.
  void lend_place(Communicator& other) const;
  /// exchange() by `other`, as this one's current collective.
  std::vector<std::string> exchange_through(Communicator& other, const std::string& bytes) const;
  /// abort_at() by `other`.
  static void abort_other(Communicator& other, const std::string& place, const std::string& reason);

  /// The collective that was started last.
  const Collective& current() const { return current_; }
  /// `update 12, backward, collective 340 (reduce_scatter of 1048576 elements)`.
  std::string place() const;

 private:
  void begin(const char* name, int64_t elements);
  void count_sent(int64_t& elements_so_far, int64_t elements, size_t element_size);

  TrafficCounts counts_;
  int64_t update_ = 0;
  std::string phase_ = "start";
  Collective current_;
};

/// The world of one rank.
std::unique_ptr<Communicator> make_single_communicator();

}  // namespace txtsum::parallel
