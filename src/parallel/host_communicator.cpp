#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {

std::unique_ptr<Communicator> make_host_communicator(const RankEnvironment& environment, double deadline_seconds) {
  switch (environment.source) {
    case RankSource::kNone:
      break;
    case RankSource::kVariables:
      return make_socket_communicator(environment, deadline_seconds);
    case RankSource::kMpi:
      return make_mpi_communicator(environment, deadline_seconds);
  }
  return make_single_communicator();
}

}  // namespace txtsum::parallel
