#include "txtsum/parallel/agreed_stop.h"

#include <csignal>
#include <vector>

#include "txtsum/core/stop_signal.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {

int agreed_stop_signal(Communicator& ranks) {
  const int own = core::stop_signal();
  if (ranks.world() == 1) return own;
  std::vector<double> asked{own == SIGINT ? 1.0 : 0.0, own != 0 && own != SIGINT ? 1.0 : 0.0};
  ranks.all_reduce(asked);
  return asked[1] > 0.0 ? SIGTERM : asked[0] > 0.0 ? SIGINT : 0;
}

}  // namespace txtsum::parallel
