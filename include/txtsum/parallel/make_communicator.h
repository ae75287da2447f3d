#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/rank_environment.h"

// Communicators through host memory. They all exchange bytes between all pairs of ranks and add what they receive in
// rank order, so they give the same bits; a deadline is in seconds and counts for each collective.

namespace txtsum::parallel {

/// How long a collective may take: TXTSUM_DEADLINE_SECONDS, or ten minutes, which must do for the slowest rank's load and
/// for rank 0's writing of a checkpoint. Throws UserError where the variable is no number above 0.
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

}  // namespace txtsum::parallel
