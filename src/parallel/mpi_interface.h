#pragma once

#include <memory>

#include "byte_transport.h"

namespace txtsum::parallel {

// What libtxtsum_mpi.so gives the program. The program is not linked with MPI: it opens the module where mpirun has
// started it (mpi_communicator.cpp).

/// The module's function: starts MPI, to be ended with the transport. Ending waits up to the deadline for the other
/// ranks to end as well. The name has the interface's version: raised with every change here and in byte_transport.h.
using OpenMpiTransport = std::unique_ptr<ByteTransport> (*)(double deadline_seconds);
inline constexpr const char* kOpenMpiTransport = "txtsum_open_mpi_transport_2";

}  // namespace txtsum::parallel
