#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace txtsum::parallel {

/// What started the ranks, and so how they find each other.
enum class RankSource {
  kNone,       ///< Nothing: a world of one.
  kVariables,  ///< RANK, WORLD_SIZE, ...: `txtsum launch`, torchrun, Azure ML's pytorch distribution.
  kMpi,        ///< mpirun, Azure ML's mpi distribution.
};

/// Which rank this process is.
struct RankEnvironment {
  RankSource source = RankSource::kNone;
  int64_t rank = 0, world = 1;
  int64_t local_rank = 0;      ///< Among the ranks of this machine.
  int64_t local_world = 0;     ///< Ranks of this machine; 0 where nothing says so.
  std::string master_address;  ///< Rank 0's host name or address; empty from mpirun.
  int64_t master_port = 0;     ///< 0 from mpirun.
};

/// The value of an environment variable; none where it is not set. Tests pass their own.
using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;

/// Reads RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT; or what mpirun sets
/// (OMPI_COMM_WORLD_*, or PMI_* with MPI_LOCALRANKID). An empty value counts as not set. Throws UserError that names
/// the variable where a value is no number or out of its range, where some are set and others are missing, and where
/// the two disagree.
RankEnvironment read_rank_environment(const VariableLookup& lookup);

/// The process's own.
RankEnvironment rank_environment();

}  // namespace txtsum::parallel
