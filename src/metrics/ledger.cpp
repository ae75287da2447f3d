#include "txtsum/metrics/ledger.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <numeric>
#include <utility>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::metrics {
namespace {

// Energy counters move in steps of up to 0.1 s: the mean power of a shorter window would be noise.
constexpr double kShortestPowerWindowSeconds = 0.2;

void raise_to(std::optional<int64_t>& peak, std::optional<int64_t> value) {
  if (value) peak = std::max(peak.value_or(*value), *value);
}

}  // namespace

Ledger::Scope::Scope(Ledger& ledger, Phase phase)
    : ledger_(ledger), outer_(ledger.phase()), exceptions_at_entry_(std::uncaught_exceptions()) {
  ledger_.switch_phase(phase);
}

Ledger::Scope::~Scope() noexcept(false) {
  if (std::uncaught_exceptions() > exceptions_at_entry_) {
    ledger_.change_phase(outer_);
  } else {
    ledger_.switch_phase(outer_);
  }
}

Ledger::Ledger(LedgerOptions options, MeterSet meters, const core::Clock& clock)
    : options_(std::move(options)),
      exceptions_at_start_(std::uncaught_exceptions()),
      meters_(std::move(meters)),
      clock_(clock),
      cpu_utilisation_(options_.proc_root) {
  record_.start_unix_seconds = record_.end_unix_seconds = clock_.unix_seconds();
  record_.host_name = options_.host_name;
  record_.device_name = options_.device_name;
  record_.device_count = options_.device_count;
  record_.missing = meters_.missing;
  record_.idle = options_.idle;
  for (PhaseRecord& phase : record_.phases) phase.joules.assign(meters_.meters.size(), 0.0);
  for (const auto& meter : meters_.meters) {
    last_joules_.push_back(meter->read_joules());
    record_.meters.push_back(meter->info());
  }
  last_process_cpu_seconds_ = process_cpu_seconds(options_.proc_root).value_or(0);
  last_sample_seconds_ = clock_.monotonic_seconds();
  start_power_window();
  note_sharing();
  if (!options_.attempts_folder.empty()) {
    record_.attempt = next_attempt_number(options_.attempts_folder);
    record_path_ = attempt_path(options_.attempts_folder, record_.attempt);
    write_record();
  } else {
    record_.attempt = 1;
  }
  if (options_.sample_period_seconds > 0) thread_ = std::thread([this] { run_sampling(); });
}

Ledger::~Ledger() {
  stop_sampling();
  if (finished_) return;
  try {
    if (std::uncaught_exceptions() > exceptions_at_start_) {
      fail("failed: ended by an error before it began");
    } else {
      save();
    }
  } catch (const std::exception& error) {
    // A destructor must not throw, and the run that ends here has its own error to report.
    core::log_warning(std::string("the ledger's last record was not written: ") + error.what());
  }
}

Phase Ledger::phase() const {
  const std::lock_guard lock(mutex_);
  return phase_;
}

void Ledger::switch_phase(Phase phase) {
  if (options_.synchronize_device) options_.synchronize_device();
  change_phase(phase);
}

void Ledger::change_phase(Phase phase) {
  const std::lock_guard lock(mutex_);
  if (phase == phase_) return;
  take_sample();
  phase_ = phase;
  start_power_window();
}

void Ledger::add_work(Phase phase, const Work& work) {
  const std::lock_guard lock(mutex_);
  record_.phase(phase).work += work;
  record_.last_update += work.updates;
}

void Ledger::resume_from(int64_t update) {
  const std::lock_guard lock(mutex_);
  TXTSUM_CHECK(record_.last_update == record_.resumed_from_update,
               "updates booked before resume_from: ", record_.last_update);
  record_.resumed_from_update = update;
  record_.last_update = update;
}

void Ledger::sample() {
  const std::lock_guard lock(mutex_);
  take_sample();
}

void Ledger::save() {
  sample();
  note_sharing();
  write_record();
}

void Ledger::finish(const std::string& outcome) {
  if (options_.synchronize_device) options_.synchronize_device();
  stop_sampling();
  note_sharing();
  {
    const std::lock_guard lock(mutex_);
    take_sample();
    record_.outcome = outcome;
    finished_ = true;
  }
  try {
    write_record();
  } catch (const core::Error&) {
    if (!record_path_.empty()) mark_failed(record_path_);
    throw;
  }
}

void Ledger::fail(const std::string& outcome) {
  options_.synchronize_device = nullptr;  // A GPU in error would throw the same again.
  try {
    finish(outcome);
  } catch (const std::exception& error) {
    core::log_warning(std::string("the ledger's last record was not written: ") + error.what());
  }
}

AttemptRecord Ledger::record() {
  const std::lock_guard lock(mutex_);
  take_sample();
  return record_;
}

// Called with mutex_ held, as the functions below up to write_record.
void Ledger::take_sample() {
  if (finished_) return;
  const double now = clock_.monotonic_seconds();
  const double seconds = now - last_sample_seconds_;
  PhaseRecord& current = record_.phase(phase_);
  current.seconds += seconds;
  current.device_seconds += seconds * options_.device_count;
  record_.end_unix_seconds = clock_.unix_seconds();
  last_sample_seconds_ = now;
  record_.meters.clear();
  for (size_t i = 0; i < meters_.meters.size(); ++i) {
    const double joules = meters_.meters[i]->read_joules();
    current.joules[i] += joules - last_joules_[i];
    last_joules_[i] = joules;
    record_.meters.push_back(meters_.meters[i]->info());
  }
  take_power_peak();
  sample_host(seconds, current);
}

void Ledger::take_power_peak() {
  if (meters_.meters.empty()) return;
  const double seconds = last_sample_seconds_ - power_window_start_seconds_;
  if (seconds < kShortestPowerWindowSeconds) return;
  const double joules = std::accumulate(last_joules_.begin(), last_joules_.end(), 0.0) - power_window_start_joules_;
  std::optional<double>& peak = record_.phase(phase_).peak_watts;
  peak = std::max(peak.value_or(0), joules / seconds);
  start_power_window();
}

void Ledger::start_power_window() {
  power_window_start_seconds_ = last_sample_seconds_;
  power_window_start_joules_ = std::accumulate(last_joules_.begin(), last_joules_.end(), 0.0);
}

void Ledger::sample_host(double seconds, PhaseRecord& current) {
  cpu_window_seconds_ += seconds;
  if (const auto share = cpu_utilisation_.sample()) {
    current.cpu_busy_seconds += *share * cpu_window_seconds_;
    current.cpu_observed_seconds += cpu_window_seconds_;
    cpu_window_seconds_ = 0;
  }
  if (const auto cpu_seconds = process_cpu_seconds(options_.proc_root)) {
    current.process_cpu_seconds += *cpu_seconds - last_process_cpu_seconds_;
    last_process_cpu_seconds_ = *cpu_seconds;
  }
  if (const auto memory = process_memory(options_.proc_root)) {
    raise_to(current.peak_host_rss_bytes, memory->resident_bytes);
    raise_to(record_.peak_host_rss_bytes, memory->peak_resident_bytes);
  }
  if (options_.device_utilisation) {
    if (const auto share = options_.device_utilisation()) {
      current.device_busy_seconds += *share * seconds;
      current.device_observed_seconds += seconds;
    }
  }
  if (options_.take_peak_device_bytes) raise_to(current.peak_device_memory_bytes, options_.take_peak_device_bytes());
}

void Ledger::note_sharing() {
  if (!options_.device_sharing) return;
  const std::vector<DeviceSharing> reading = options_.device_sharing();  // Outside mutex_: the driver takes its time.
  const std::lock_guard lock(mutex_);
  add_reading(record_.sharing, reading);
}

void Ledger::write_record() {
  const std::lock_guard write_lock(write_mutex_);
  AttemptRecord copy;
  {
    const std::lock_guard lock(mutex_);
    copy = record_;
    last_write_seconds_ = clock_.monotonic_seconds();
  }
  // Outside mutex_: a slow disk must not hold up a training step.
  if (!record_path_.empty()) core::write_file(record_path_, core::to_pretty_text(to_json(copy)));
}

void Ledger::write_periodically() {
  try {
    write_record();
  } catch (const core::Error& error) {
    const std::lock_guard lock(mutex_);
    if (record_.failed_writes++ == 0) {
      core::log_warning(std::string("the ledger's record was not written, will try again: ") + error.what());
    }
  }
}

void Ledger::run_sampling() {
  const auto period = std::chrono::duration<double>(options_.sample_period_seconds);
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, period, [this] { return stopping_; })) {
    take_sample();
    if (clock_.monotonic_seconds() - last_write_seconds_ < options_.write_period_seconds) continue;
    lock.unlock();
    note_sharing();
    write_periodically();
    lock.lock();
  }
}

void Ledger::stop_sampling() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace txtsum::metrics
