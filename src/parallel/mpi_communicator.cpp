#include <dlfcn.h>

#include <string>

#include "byte_communicator.h"
#include "mpi_interface.h"
#include "txtsum/core/error.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {
namespace {

constexpr const char* kModule = "libtxtsum_mpi.so";

// Found beside the program (its run path has $ORIGIN), in the build folder, or where the system's loader looks.
OpenMpiTransport open_module() {
  void* handle = dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw core::EnvironmentError(
        "mpirun has started this process, but the module that speaks MPI cannot be opened (" +
        std::string(reason ? reason : kModule) +
        "): install Open MPI (Debian: libopenmpi3 to run, libopenmpi-dev to build) and build again; a program that is "
        "carried elsewhere needs " +
        kModule + " beside it. On one machine, txtsum launch needs no MPI");
  }
  const auto open = reinterpret_cast<OpenMpiTransport>(dlsym(handle, kOpenMpiTransport));
  if (open == nullptr) {
    throw core::EnvironmentError(std::string(kModule) + " lacks " + kOpenMpiTransport +
                                 ": it is of another txtsum; build both together");
  }
  return open;
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const RankEnvironment& environment, double deadline_seconds) {
  const OpenMpiTransport open = open_module();
  auto communicator = std::make_unique<ByteCommunicator>([&] { return open(deadline_seconds); }, deadline_seconds);
  if (communicator->rank() == environment.rank && communicator->world() == environment.world) return communicator;
  throw core::UserError("mpirun started rank " + std::to_string(environment.rank) + " of " +
                        std::to_string(environment.world) + ", but MPI's library counts it as rank " +
                        std::to_string(communicator->rank()) + " of " + std::to_string(communicator->world()) +
                        ": mpirun is of another MPI than libtxtsum_mpi.so, which is built for Open MPI");
}

}  // namespace txtsum::parallel
