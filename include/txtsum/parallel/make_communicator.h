#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/rank_environment.h"

// A deadline is in seconds and counts for each collective. Communicators through host memory exchange bytes between all
// pairs of ranks and add what they receive in rank order, so they give the same bits; tensors on a GPU are copied to
// the host and back.

namespace txtsum::parallel {

/// How long a collective may take: TXTSUM_DEADLINE_SECONDS, or ten minutes, which must do for the slowest rank's load
/// and for rank 0's writing of a checkpoint. Throws UserError where the variable is no number above 0.
double deadline_seconds();

/// One communicator a rank, for ranks that are threads of this process. Each is used by the thread of its rank.
std::vector<std::unique_ptr<Communicator>> make_thread_communicators(int64_t world, double deadline_seconds);

/// Over TCP: rank 0 listens at MASTER_ADDR:MASTER_PORT until all ranks have come, then each pair has a connection.
/// Throws UserError where it cannot listen there, RankError where a rank has not come within the deadline.
std::unique_ptr<Communicator> make_socket_communicator(const RankEnvironment& environment, double deadline_seconds);

/// Over MPI, of the ranks that mpirun started. Throws EnvironmentError where libtxtsum_mpi.so or MPI's library cannot
/// be opened, UserError where MPI counts other ranks than the environment. MPI is started and ended with it: one in a
/// process.
std::unique_ptr<Communicator> make_mpi_communicator(const RankEnvironment& environment, double deadline_seconds);

/// The one for what started the ranks: single, sockets or MPI.
std::unique_ptr<Communicator> make_host_communicator(const RankEnvironment& environment, double deadline_seconds);

/// Over NCCL, between GPUs: collectives on tensors of `device` go there, on a stream of their own; bytes, sums of host
/// numbers and tensors in host memory go through `host`. The host does not wait where wait() is called, only the
/// current stream, which must be one that the tensors were made on. A CUDA graph can hold collectives (what it holds
/// must have run once before, and a ticket is waited for inside it); watch_replay() has the deadline count for them.
/// Before the communicator ends, the graphs and the GPU's work must have ended. While a collective hangs, abort() and
/// the deadline end it on the GPU as well. Throws EnvironmentError where this binary or this machine has no NCCL or no
/// such GPU, RankError where the ranks are not connected within the deadline.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host, const c10::Device& device,
                                                     double deadline_seconds);

/// The CPU or, `on_gpu`, the GPU for this rank: LOCAL_RANK counts through those that the process sees, from the first
/// again where there are fewer. Throws EnvironmentError where it sees none.
c10::Device device_of_rank(const RankEnvironment& environment, bool on_gpu);

/// The one for tensors on `device`: on a CPU the host communicator; on GPUs NCCL or, with a warning, the host
/// communicator where two ranks have the same GPU, which NCCL refuses. Ranks that nothing started are single.
std::unique_ptr<Communicator> make_communicator(const RankEnvironment& environment, const c10::Device& device,
                                                double deadline_seconds);

}  // namespace txtsum::parallel
