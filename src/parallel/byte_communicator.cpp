#include "byte_communicator.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <utility>

#include "seconds_text.h"
#include "txtsum/core/check.h"
#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::parallel {
namespace {

/// How soon an abort() of the caller is noticed at the latest.
constexpr double kPollSeconds = 0.02;
/// How soon it is noticed between collectives that a peer has gone, where somebody asks for that.
constexpr std::chrono::duration<double> kListen{0.1};
/// How long a rank that gives up stays for those that can hear it.
constexpr double kGraceSeconds = 2.0;
/// A rank that was told to give up lets the one that knows why leave first: launchers report the first that failed.
constexpr double kAfterTheOtherSeconds = 0.3;
/// Launchers kill about a second after they have asked to stop.
constexpr double kWarnAfterSeconds = 0.3;

double now() { return core::system_clock().monotonic_seconds(); }

/// `rank 2 has not come`, `ranks 1, 2 have not come`.
std::string in_words(const std::vector<int64_t>& missing) {
  if (missing.empty()) return "all ranks have come, but not all have taken what this one sends";
  std::string text = missing.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < missing.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(missing[i]);
  return text + (missing.size() == 1 ? " has not come" : " have not come");
}

/// A tensor as host memory, and its way back. Made where the collective is started: what is on the current stream by
/// then comes first.
class HostStage {
 public:
  explicit HostStage(at::Tensor tensor) : tensor_(std::move(tensor)) {
    if (tensor_.is_cpu()) return;
    const c10::Device device = tensor_.device();
    ready_ = std::make_shared<c10::Event>(device.type());
    ready_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }

  at::Tensor read() const {
    if (tensor_.is_cpu()) return tensor_;
    ready_->synchronize();
    return tensor_.to(at::kCPU);
  }
  at::Tensor room() const {
    return tensor_.is_cpu() ? tensor_ : at::empty_like(tensor_, tensor_.options().device(at::kCPU));
  }
  void write(const at::Tensor& host) const {
    if (tensor_.is_cpu()) return;
    ready_->synchronize();
    tensor_.copy_(host);  // Pageable memory: over when it returns.
  }

 private:
  at::Tensor tensor_;
  std::shared_ptr<c10::Event> ready_;
};

}  // namespace

struct ByteCommunicator::Job final : Ticket {
  std::string place;
  Collective collective;
  std::function<void()> carry_out;
  bool is_over = false;
};

ByteCommunicator::ByteCommunicator(const std::function<std::unique_ptr<ByteTransport>()>& open, double deadline_seconds)
    : deadline_seconds_(deadline_seconds), exceptions_at_start_(std::uncaught_exceptions()) {
  TXTSUM_CHECK(deadline_seconds > 0, "deadline ", deadline_seconds);
  thread_ = std::thread([this, &open] { work(open); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_open_ || open_problem_; });
  if (!open_problem_) return;
  lock.unlock();
  thread_.join();
  std::rethrow_exception(open_problem_);
}

ByteCommunicator::~ByteCommunicator() {
  if (std::uncaught_exceptions() > exceptions_at_start_) abort("it leaves because of an error");
  {
    const std::lock_guard lock(mutex_);
    is_leaving_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ByteCommunicator::wait(const TicketRef& ticket) {
  const auto job = std::dynamic_pointer_cast<Job>(ticket);
  TXTSUM_CHECK(job != nullptr);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return job->is_over || !failure_.empty(); });
  if (!job->is_over) throw core::RankError(failure_);
}

std::string ByteCommunicator::peer_problem() {
  const std::lock_guard lock(mutex_);
  is_listening_ = true;
  return failure_.empty() ? peer_problem_ : failure_;
}

TicketRef ByteCommunicator::start_reduce_scatter(const at::Tensor& values, const at::Tensor& shard) {
  return start([this, from = HostStage(values), to = HostStage(shard)] {
    const at::Tensor result = to.room();
    collectives_->reduce_scatter(from.read(), result);
    to.write(result);
  });
}

TicketRef ByteCommunicator::start_all_gather(const at::Tensor& shard, const at::Tensor& values) {
  return start([this, from = HostStage(shard), to = HostStage(values)] {
    const at::Tensor result = to.room();
    collectives_->all_gather(from.read(), result);
    to.write(result);
  });
}

TicketRef ByteCommunicator::start_broadcast(const at::Tensor& values, int64_t root) {
  return start([this, stage = HostStage(values), root] {
    const at::Tensor host = rank_ == root ? stage.read() : stage.room();
    collectives_->broadcast(host, root);
    if (rank_ != root) stage.write(host);
  });
}

std::vector<std::string> ByteCommunicator::exchange(const std::string& bytes) {
  // Not by reference: after a failure the thread may go on for a moment while the caller has left.
  const auto result = std::make_shared<std::vector<std::string>>();
  wait(start([this, bytes, result] { *result = collectives_->gather(bytes); }));
  return std::move(*result);
}

void ByteCommunicator::abort_at(const std::string& place, const std::string& reason) { fail(place, reason, false); }

std::shared_ptr<ByteCommunicator::Job> ByteCommunicator::start(std::function<void()> carry_out) {
  const auto job = std::make_shared<Job>();
  job->place = place();
  job->collective = current();
  job->carry_out = std::move(carry_out);
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw core::RankError(failure_);
    jobs_.push_back(job);
  }
  changed_.notify_all();
  return job;
}

bool ByteCommunicator::open_transport(const std::function<std::unique_ptr<ByteTransport>()>& open) {
  std::exception_ptr problem;
  try {
    transport_ = open();
    rank_ = transport_->rank();
    world_ = transport_->world();
    collectives_ = std::make_unique<ByteCollectives>(rank_, world_, [this](Exchange& each) { run_exchange(each); });
  } catch (...) {
    problem = std::current_exception();
    transport_.reset();
  }
  const std::lock_guard lock(mutex_);
  is_open_ = !problem;
  open_problem_ = problem;
  changed_.notify_all();
  return is_open_;
}

void ByteCommunicator::work(const std::function<std::unique_ptr<ByteTransport>()>& open) {
  if (!open_transport(open)) return;
  const at::NoGradGuard no_graph;
  std::unique_lock lock(mutex_);
  while (failure_.empty()) {
    const auto is_called = [&] { return !jobs_.empty() || is_leaving_ || !failure_.empty(); };
    while (!changed_.wait_for(lock, kListen, is_called)) {
      if (!is_listening_ || !peer_problem_.empty()) continue;
      lock.unlock();
      const std::string problem = listen();
      lock.lock();
      peer_problem_ = problem;
    }
    if (!failure_.empty() || jobs_.empty()) break;
    const std::shared_ptr<Job> job = jobs_.front();
    lock.unlock();
    carry_out(*job);
    lock.lock();
    if (!failure_.empty()) break;
    jobs_.pop_front();
    job->is_over = true;
    changed_.notify_all();
  }
  const bool has_failed = !failure_.empty();
  lock.unlock();
  if (has_failed) give_up("", false);
  transport_.reset();
}

std::string ByteCommunicator::listen() {
  try {
    transport_->listen();
    return {};
  } catch (const PeerGaveUp& error) {
    heard_ = std::current_exception();
    return error.what();
  } catch (const std::exception& error) {
    return error.what();
  }
}

void ByteCommunicator::carry_out(Job& job) {
  job_ = &job;
  job_began_seconds_ = now();
  try {
    job.carry_out();
    // What it captured goes here, not where the caller drops the ticket.
    job.carry_out = nullptr;
  } catch (const std::exception& error) {
    give_up(error.what(), false);
  }
  job_ = nullptr;
}

// A failure is told from inside the collective: the memory that the transport may still use is there until it has given
// up.
void ByteCommunicator::run_exchange(Exchange& exchange) {
  exchange.label.exchange = ++exchanges_;
  exchange.label.collective = job_->collective.number;
  exchange.label.elements = job_->collective.elements;
  std::strncpy(exchange.label.name, job_->collective.name.c_str(), sizeof exchange.label.name - 1);
  try {
    if (heard_) std::rethrow_exception(heard_);
    transport_->start(exchange);
    while (!transport_->progress(kPollSeconds)) check_waiting();
  } catch (const PeerGaveUp& error) {
    give_up(error.what(), true);
    throw;
  } catch (const std::exception& error) {
    give_up(std::string(error.what()) + "; " + in_words(transport_->missing()), false);
    throw;
  }
}

void ByteCommunicator::check_waiting() {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw std::runtime_error(failure_);
  }
  if (now() - job_began_seconds_ > deadline_seconds_) {
    throw std::runtime_error("not over within " + seconds_text(deadline_seconds_));
  }
  warn_of_waiting();
}

void ByteCommunicator::give_up(const std::string& what, bool told_by_peer) {
  if (has_given_up_) return;
  has_given_up_ = true;
  if (job_ != nullptr) fail(job_->place, what.substr(0, what.find('\n')), told_by_peer);
  transport_->give_up(peers_failure_, kGraceSeconds);
  if (told_by_peer) std::this_thread::sleep_for(std::chrono::duration<double>(kAfterTheOtherSeconds));
}

// mpirun and job schedulers follow a SIGTERM up with a SIGKILL; by then a rank whose peers are gone has said what it
// waits for. Where the peers do come, nothing is wrong: they stop together at the end of the update.
void ByteCommunicator::warn_of_waiting() {
  if (core::stop_signal() == 0 || has_warned_) return;
  if (stop_seen_seconds_ == 0.0) stop_seen_seconds_ = now();
  if (now() - stop_seen_seconds_ < kWarnAfterSeconds) return;
  has_warned_ = true;
  core::log_warning(who() + job_->place + ": asked to stop by signal " + std::to_string(core::stop_signal()) +
                    " while it waits; " + in_words(transport_->missing()));
}

void ByteCommunicator::fail(const std::string& place, const std::string& what, bool told_by_peer) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = who() + place + ": " + what;
    peers_failure_ = told_by_peer ? what : "rank " + std::to_string(rank_) + " gave up at " + place + ": " + what;
  }
  changed_.notify_all();
}

std::string ByteCommunicator::who() const {
  return "rank " + std::to_string(rank_) + " of " + std::to_string(world_) + ": ";
}

}  // namespace txtsum::parallel
