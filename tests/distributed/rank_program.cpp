// One rank of a test: finds the others as the program does, and does what it is told.
//
// usage: rank_program MODE DEADLINE_SECONDS [RANK]
//   same    compare every collective with the same among threads, bit for bit
//   sums    compare every collective with what the host computes; graph: the same for a CUDA graph of collectives
//   bandwidth  print what reduce_scatter and all_gather reach
//   killed  RANK is killed in the fifth update; stopped: it stops there; failed: it leaves with an error of its own;
//           replayed: it is killed where updates are a CUDA graph
// With TXTSUM_TEST_DEVICE=cuda on the GPU for the rank.

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "device_checks.h"
#include "support/collective_script.h"
#include "support/rank_threads.h"
#include "support/test_device.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/ops/device.h"
#include "txtsum/parallel/make_communicator.h"

namespace txtsum::tests {
namespace {

void compare_with_threads(parallel::Communicator& ranks, const at::Device& device) {
  std::string wanted;
  run_ranks(ranks.world(), [&](parallel::Communicator& threads) {
    const std::string bytes = run_collectives(threads);
    if (threads.rank() == ranks.rank()) wanted = bytes;
  });
  const std::string found = run_collectives(ranks, device);
  const bool same = found == wanted;
  std::printf("rank %d of %d: %s %zu bytes\n", static_cast<int>(ranks.rank()), static_cast<int>(ranks.world()),
              same ? "the same" : "other", found.size());
  if (same) return;
  const auto first = std::mismatch(found.begin(), found.end(), wanted.begin(), wanted.end()).first - found.begin();
  throw core::DataError("the bytes differ from byte " + std::to_string(first) + " on; wanted " +
                        std::to_string(wanted.size()));
}

void train(parallel::Communicator& ranks, const at::Device& device, const std::string& mode, int64_t victim) {
  const at::Tensor values = at::ones({100'000}, device);
  for (int64_t update = 1; update <= 10; ++update) {
    ranks.set_phase(update, "backward");
    if (update == 5 && ranks.rank() == victim) {
      if (mode == "killed") ::raise(SIGKILL);
      if (mode == "stopped") ::raise(SIGSTOP);
      if (mode == "failed") throw core::DataError("no space left on device");
    }
    ranks.wait(ranks.reduce_scatter(values, own_part(values, ranks)));
    ranks.wait(ranks.all_gather(own_part(values, ranks), values));
    ops::synchronize(device);  // as who reads the update's numbers
  }
  ranks.barrier();
}

int run(const std::string& mode, double deadline_seconds, int64_t victim) {
  try {
    const parallel::RankEnvironment environment = parallel::rank_environment();
    const char* wanted = std::getenv("TXTSUM_TEST_DEVICE");
    const at::Device device = parallel::device_of_rank(environment, wanted != nullptr && std::string(wanted) != "cpu");
    ops::use_device(device);
    const auto ranks = parallel::make_communicator(environment, device, deadline_seconds);
    if (mode == "same") {
      compare_with_threads(*ranks, device);
    } else if (mode == "sums") {
      compare_with_host(*ranks, device);
    } else if (mode == "graph") {
      check_graph(*ranks, device);
    } else if (mode == "replayed") {
      replay_until_killed(*ranks, device, victim);
    } else if (mode == "bandwidth") {
      print_bandwidth(*ranks, device);
    } else {
      train(*ranks, device, mode, victim);
    }
    return 0;
  } catch (const core::Error& error) {
    core::log_error(error.what());
    return error.exit_code();
  } catch (const c10::Error& error) {
    core::log_error(error.what_without_backtrace());
    return 70;
  }
}

}  // namespace
}  // namespace txtsum::tests

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  txtsum::core::install_stop_signals();
  txtsum::core::start_log(txtsum::core::LogLevel::kInfo);
  return txtsum::tests::run(argv[1], std::atof(argv[2]), argc > 3 ? std::atol(argv[3]) : -1);
}
