#include "txtsum/core/bus_error.h"

#include <unistd.h>

#include <csignal>

namespace txtsum::core {
namespace {

constexpr int kEnvironmentError = 71;
constexpr char kText[] =
    "\ntxtsum: a file that is being read (weights, data or data.cache) was cut short, or its disk or mount failed. "
    "Bring it back and start again; checkpoints that were saved are whole\n";

/// Nothing but what a handler may call.
void on_bus_error(int) {
  // There is nowhere to say that stderr is closed.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText, sizeof kText - 1);
  ::_exit(kEnvironmentError);
}

}  // namespace

void explain_bus_errors() {
  struct sigaction action {};
  action.sa_handler = on_bus_error;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace txtsum::core
