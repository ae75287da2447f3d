#pragma once

#include <vector>

#include "socket.h"
#include "txtsum/parallel/rank_environment.h"

namespace txtsum::parallel {

/// Brings the ranks together: rank 0 listens at MASTER_ADDR:MASTER_PORT, the others tell it where they listen, it tells
/// all of them, and each pair connects. Returns the connections by rank, this rank's own not open. Throws UserError
/// where the address or the port is of no use, RankError where a rank has not come within the deadline.
std::vector<Socket> connect_ranks(const RankEnvironment& environment, double deadline_seconds);

}  // namespace txtsum::parallel
