#include <cmath>
#include <cstdlib>
#include <string>

#include "txtsum/core/error.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::parallel {
namespace {

constexpr const char* kDeadlineVariable = "TXTSUM_DEADLINE_SECONDS";
constexpr double kUsualDeadlineSeconds = 600;

}  // namespace

double deadline_seconds() {
  const char* text = std::getenv(kDeadlineVariable);
  if (text == nullptr || *text == '\0') return kUsualDeadlineSeconds;
  char* end = nullptr;
  const double seconds = std::strtod(text, &end);
  if (*end != '\0' || !std::isfinite(seconds) || seconds <= 0) {
    throw core::UserError(std::string("environment variable ") + kDeadlineVariable + " is '" + text +
                          "': wanted seconds, a number above 0");
  }
  return seconds;
}

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
