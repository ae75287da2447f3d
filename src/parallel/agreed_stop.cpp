#include "txtsum/parallel/agreed_stop.h"

#include <csignal>
#include <vector>

#include "txtsum/core/stop_signal.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {

std::array<double, 2> stop_votes() {
  const int own = core::stop_signal();
  return {own == SIGINT ? 1.0 : 0.0, own != 0 && own != SIGINT ? 1.0 : 0.0};
}

int signal_of(const std::array<double, 2>& summed_votes) {
  return summed_votes[1] > 0.0 ? SIGTERM : summed_votes[0] > 0.0 ? SIGINT : 0;
}

int agreed_stop_signal(Communicator& ranks) {
  if (ranks.world() == 1) return core::stop_signal();
  const std::array<double, 2> own = stop_votes();
  std::vector<double> votes(own.begin(), own.end());
  ranks.all_reduce(votes);
  return signal_of({votes[0], votes[1]});
}

}  // namespace txtsum::parallel
