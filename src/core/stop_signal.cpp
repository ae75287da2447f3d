#include "txtsum/core/stop_signal.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace txtsum::core {
namespace {

std::atomic<int> g_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may only touch lock-free state");

void on_signal(int signal) {
  if (signal == SIGINT && g_signal.load() == SIGINT) ::_exit(128 + SIGINT);
  g_signal.store(signal);
}

void end_now(int signal) { ::_exit(128 + signal); }

void set_handler(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

void install_stop_signals() { set_handler(on_signal); }

void end_at_stop_signals() {
  set_handler(end_now);
  // One that came before.
  if (const int signal = stop_signal()) end_now(signal);
}

int stop_signal() { return g_signal.load(); }

void set_stop_signal(int signal) { g_signal.store(signal); }

}  // namespace txtsum::core
