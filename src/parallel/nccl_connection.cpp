#include "nccl_connection.h"

#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

#include "nccl_library.h"
#include "seconds_text.h"
#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"

namespace txtsum::parallel {
namespace {

using std::chrono::duration;

/// How soon the thread notices what is over, late or wrong.
constexpr duration<double> kPoll{0.02};
/// How long NCCL may take to give up before it is left alone with that.
constexpr duration<double> kAbortGrace{2.0};
constexpr double kTakeDownSeconds = 1.0;
/// How long NCCL may take to end in peace.
constexpr double kFinishSeconds = 10.0;
/// Putting a collective on a stream takes NCCL's thread some 20 us, so the first questions come without a pause.
constexpr int64_t kEagerQuestions = 2000;
constexpr duration<double> kPause{50e-6};

double now() { return core::system_clock().monotonic_seconds(); }

std::set<std::string> threads_of_process() {
  std::set<std::string> threads;
  std::error_code problem;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/task", problem)) {
    threads.insert(each.path().filename().string());
  }
  return threads;
}

/// Has NCCL take a connection down. It does that in a thread for which nobody can wait, and a process must not exit
/// meanwhile; so this waits until no thread is there that was not there before, for a second at most.
template <typename TakeDown>
void take_down(const TakeDown& call) {
  const std::set<std::string> before = threads_of_process();
  call();
  const auto is_new = [&](const std::string& thread) { return before.count(thread) == 0; };
  for (const double until = now() + kTakeDownSeconds; now() < until;) {
    const std::set<std::string> threads = threads_of_process();
    if (std::none_of(threads.begin(), threads.end(), is_new)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

struct NcclConnection::State {
  State(std::shared_ptr<Communicator> ranks, double deadline) : host(std::move(ranks)), deadline_seconds(deadline) {}

  const NcclLibrary& nccl = nccl_library();
  const std::shared_ptr<Communicator> host;
  const c10::DeviceIndex device = c10::cuda::current_device();
  const double deadline_seconds;

  /// Held for every call of NCCL: a connection is not for two threads at once. None of the calls waits for other ranks,
  /// as the connection is one that does not block; giving up may.
  std::timed_mutex nccl_mutex;
  ncclComm_t comm = nullptr;  ///< Null before it is made and after it has been given up.

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<NcclTicket>> pending;  ///< Not known to be over; in order.
  double last_over_seconds = 0.0;
  std::string last_place;
  NcclFailure failure;
  bool is_awaited = false;  ///< NCCL has been called and has not done what it was called for.
  bool is_leaving = false, thread_has_ended = false;

  void fail(NcclFailure reason) {
    {
      const std::lock_guard lock(mutex);
      if (has_failed()) return;
      failure = std::move(reason);
    }
    changed.notify_all();
  }
  void fail(const std::string& place, const std::string& what) {
    const std::string who = "rank " + std::to_string(host->rank()) + " of " + std::to_string(host->world());
    fail({who + ": " + place + ": " + what, place, what});
  }
  /// With the mutex held.
  bool has_failed() const { return !failure.text.empty(); }

  void check() {
    const std::lock_guard lock(mutex);
    if (has_failed()) throw core::RankError(failure.text);
  }

  void begin_call(const std::string& place) {
    const std::lock_guard lock(mutex);
    last_place = place;
    is_awaited = true;
  }
  void end_call() {
    const std::lock_guard lock(mutex);
    is_awaited = false;
  }

  /// Calls NCCL with the connection. The thread may hold it for as long as giving up takes: there is a failure then.
  template <typename Call>
  ncclResult_t call(const Call& with_comm) {
    std::unique_lock lock(nccl_mutex, std::defer_lock);
    do check();
    while (!lock.try_lock_for(kPoll));
    check();
    return with_comm(comm);
  }

  /// What NCCL is at: ncclInProgress while a call goes on in its threads.
  ncclResult_t ask() {
    return call([this](ncclComm_t with) { return ask(with); });
  }
  ncclResult_t ask(ncclComm_t with) const {
    ncclResult_t result = ncclSuccess;
    const ncclResult_t code = nccl.comm_get_async_error(with, &result);
    return code == ncclSuccess ? result : code;
  }

  std::shared_ptr<NcclTicket> first_pending() {
    const std::lock_guard lock(mutex);
    return pending.empty() ? nullptr : pending.front();
  }

  std::string where() {
    const std::lock_guard lock(mutex);
    return pending.empty() ? last_place : pending.front()->place;
  }

  void look() {
    look_at_nccl();
    while (const std::shared_ptr<NcclTicket> first = first_pending()) {
      if (!first->over.query()) {
        look_at_clock(*first);
        break;
      }
      const std::lock_guard lock(mutex);
      pending.pop_front();
      last_over_seconds = now();
      changed.notify_all();
    }
    look_at_peers();
  }

  /// Who has gone when nothing is under way has ended well.
  void look_at_peers() {
    {
      const std::lock_guard lock(mutex);
      if (pending.empty() && !is_awaited) return;
    }
    const std::string problem = host->peer_problem();
    if (!problem.empty()) fail(where(), first_line(problem));
  }

  void look_at_nccl() {
    const std::unique_lock lock(nccl_mutex, std::try_to_lock);
    if (!lock || comm == nullptr) return;
    const ncclResult_t code = ask(comm);
    if (code != ncclSuccess && code != ncclInProgress) fail(where(), nccl.error_text(code));
  }

  void look_at_clock(const NcclTicket& ticket) {
    if (now() - std::max(ticket.began_seconds, last_over_seconds) > deadline_seconds) {
      fail(ticket.place, "not over within " + seconds_text(deadline_seconds));
    }
  }

  /// The kernels end at once.
  void give_up() {
    const std::lock_guard lock(nccl_mutex);
    if (comm != nullptr) take_down([&] { nccl.comm_abort(std::exchange(comm, nullptr)); });
  }
};

NcclConnection::NcclConnection(std::shared_ptr<Communicator> host, const ncclUniqueId& id, const std::string& place,
                               double deadline_seconds)
    : state_(std::make_shared<State>(std::move(host), deadline_seconds)), thread_(keep_watch, state_) {
  try {
    connect(id, place);
  } catch (...) {
    finish();
    throw;
  }
}

NcclConnection::~NcclConnection() { finish(); }

void NcclConnection::connect(const ncclUniqueId& id, const std::string& place) {
  State& state = *state_;
  state.begin_call(place);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const ncclResult_t code = state.call([&](ncclComm_t) {
    return state.nccl.comm_init_rank_config(&state.comm, static_cast<int>(state.host->world()), id,
                                            static_cast<int>(state.host->rank()), &config);
  });
  if (code != ncclSuccess && code != ncclInProgress) state.fail(place, state.nccl.error_text(code));
  await(place, "NCCL has not connected the ranks");
}

void NcclConnection::start(const std::string& place, const std::function<ncclResult_t(ncclComm_t)>& put) {
  State& state = *state_;
  state.begin_call(place);
  const ncclResult_t code = state.call(put);
  if (code != ncclSuccess && code != ncclInProgress) state.fail(place, state.nccl.error_text(code));
  await(place, "NCCL has not started it");
}

void NcclConnection::await(const std::string& place, const std::string& late) {
  State& state = *state_;
  const double began = now();
  ncclResult_t code = ncclInProgress;
  for (int64_t asked = 0; (code = state.ask()) == ncclInProgress; ++asked) {
    if (asked < kEagerQuestions) {
      std::this_thread::yield();
      continue;
    }
    if (now() - began > state.deadline_seconds)
      state.fail(place, late + " within " + seconds_text(state.deadline_seconds));
    std::this_thread::sleep_for(kPause);
  }
  if (code != ncclSuccess) state.fail(place, state.nccl.error_text(code));
  state.check();
  state.end_call();
}

void NcclConnection::watch(const std::shared_ptr<NcclTicket>& ticket) {
  ticket->began_seconds = now();
  const std::lock_guard lock(state_->mutex);
  state_->pending.push_back(ticket);
}

void NcclConnection::drain() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->pending.empty() || state_->has_failed(); });
}

void NcclConnection::fail(const std::string& place, const std::string& what) { state_->fail(place, what); }

void NcclConnection::fail(const std::string& text) { state_->fail(NcclFailure{text, {}, {}}); }

NcclFailure NcclConnection::failure() const {
  const std::lock_guard lock(state_->mutex);
  return state_->failure;
}

void NcclConnection::check() const { state_->check(); }

void NcclConnection::keep_watch(const std::shared_ptr<State>& state) {
  c10::cuda::set_device(state->device);
  // Another thread may be capturing a graph, which must not hear of the questions that are asked here.
  const c10::cuda::CUDAStreamCaptureModeGuard beside_captures(cudaStreamCaptureModeRelaxed);
  const auto must_end = [&] { return state->is_leaving || state->has_failed(); };
  std::unique_lock lock(state->mutex);
  while (!state->changed.wait_for(lock, kPoll, must_end)) {
    lock.unlock();
    try {
      state->look();
    } catch (const std::exception& error) {
      state->fail(state->where(), first_line(error.what()));
    }
    lock.lock();
  }
  const bool has_failed = state->has_failed();
  lock.unlock();
  if (has_failed) state->give_up();
  lock.lock();
  state->thread_has_ended = true;
  state->changed.notify_all();
}

void NcclConnection::finish() {
  State& state = *state_;
  std::deque<std::shared_ptr<NcclTicket>> pending;
  {
    std::unique_lock lock(state.mutex);
    state.is_leaving = true;
    state.changed.notify_all();
    if (!state.changed.wait_for(lock, kAbortGrace, [&] { return state.thread_has_ended; })) {
      thread_.detach();
      return;
    }
    pending.swap(state.pending);
  }
  thread_.join();
  if (state.has_failed()) return;
  ncclResult_t code = state.nccl.comm_finalize(state.comm);
  for (const double began = now(); code == ncclInProgress && now() - began < kFinishSeconds;
       code = state.ask(state.comm)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (code == ncclSuccess) {
    take_down([&] { state.nccl.comm_destroy(std::exchange(state.comm, nullptr)); });
    return;
  }
  core::log_warning("NCCL's connection does not end in peace (" + state.nccl.error_text(code) + "): it is given up");
  // A graph that still holds its collectives keeps NCCL waiting for as long as it lives.
  std::thread([kept = state_] { kept->give_up(); }).detach();
}

}  // namespace txtsum::parallel
