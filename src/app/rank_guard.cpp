#include "app/rank_guard.h"

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "app/rank_checks.h"
#include "txtsum/core/error.h"
#include "txtsum/core/stop_signal.h"
#include "txtsum/parallel/make_communicator.h"
#include "txtsum/parallel/rank_environment.h"

namespace txtsum::app {
namespace {

constexpr std::chrono::milliseconds kListenEvery(100);
constexpr const char* kStoppedWhileLoading = "stopped while it loaded, by signal ";

/// Listens to the other ranks while it lives.
class Listener {
 public:
  explicit Listener(parallel::Communicator& ranks) : ranks_(ranks) {
    if (ranks.world() > 1) thread_ = std::thread([this] { listen(); });
  }
  ~Listener() { problem(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Ends the listening: what has happened to another rank; empty: nothing.
  std::string problem() {
    {
      const std::lock_guard lock(mutex_);
      has_ended_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    return problem_;
  }

 private:
  void listen() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kListenEvery, [&] { return has_ended_; })) {
      problem_ = ranks_.peer_problem();
      if (problem_.empty()) continue;
      core::set_stop_signal(SIGTERM);
      return;
    }
  }

  parallel::Communicator& ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool has_ended_ = false;
  std::string problem_;
  std::thread thread_;
};

}  // namespace

int signal_in(const std::string& problem) {
  const std::string mark = kStoppedWhileLoading;
  const size_t at = problem.find(mark);
  return at == std::string::npos ? 0 : std::stoi(problem.substr(at + mark.size()));
}

std::string outcome_of(const std::exception& error) {
  const int signal = signal_in(error.what());
  return signal != 0 ? "stopped by signal " + std::to_string(signal) : std::string("failed: ") + error.what();
}

void run_on_ranks(const config::ExperimentConfig& config,
                  const std::function<void(parallel::Communicator&, ComputeDevice&)>& work) {
  const parallel::RankEnvironment environment = parallel::rank_environment();
  ComputeDevice device = open_device(config.run.device, environment);
  const std::unique_ptr<parallel::Communicator> ranks =
      parallel::make_communicator(environment, device.device, parallel::deadline_seconds());
  run_as_rank(*ranks, [&] {
    require_same_config(config, *ranks);
    work(*ranks, device);
  });
}

void run_as_rank(parallel::Communicator& ranks, const std::function<void()>& work) {
  try {
    work();
  } catch (const core::StoppedBySignal&) {
    throw;  // All have agreed on it.
  } catch (const core::RankError& error) {
    ranks.abort(error.what());
    if (const int signal = signal_in(error.what())) throw core::StoppedBySignal(error.what(), signal);
    throw;
  } catch (const std::exception& error) {
    ranks.abort(error.what());
    throw;
  }
}

void load_as_rank(parallel::Communicator& ranks, const std::function<void()>& work) {
  Listener listener(ranks);
  try {
    work();
  } catch (const core::StoppedBySignal& stopped) {
    if (const std::string problem = listener.problem(); !problem.empty()) throw core::RankError(problem);
    ranks.abort(kStoppedWhileLoading + std::to_string(stopped.exit_code() - 128));
    throw;
  }
  if (const std::string problem = listener.problem(); !problem.empty()) throw core::RankError(problem);
}

}  // namespace txtsum::app
