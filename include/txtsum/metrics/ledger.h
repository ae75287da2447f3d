#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "txtsum/core/clock.h"
#include "txtsum/metrics/attempt_record.h"
#include "txtsum/metrics/energy_meter.h"
#include "txtsum/metrics/host_sampler.h"

namespace txtsum::metrics {

/// Facts and hooks that the ledger gets from the composition root. It sees no LibTorch, hence the callbacks; unset ones
/// leave their figure missing. All but synchronize_device are also called from the sampling thread.
struct LedgerOptions {
  std::string attempts_folder;         ///< Where attempt-NNNN.json goes; empty: nothing is written.
  double sample_period_seconds = 1.0;  ///< 0: no thread, the owner calls sample().
  double write_period_seconds = 30.0;  ///< The record is written at least this often.
  int device_count = 1;                ///< Physical devices in use (the host is one where there is no GPU).
  std::string device_name;             ///< As the device's driver names it.
  std::string host_name;
  std::string proc_root = "/proc";
  std::function<std::optional<double>()> device_utilisation;       ///< Mean over the devices, 0 to 1.
  std::function<std::optional<int64_t>()> take_peak_device_bytes;  ///< Peak since the last call, largest device.
  std::function<std::vector<DeviceSharing>()> device_sharing;      ///< Who is on the devices now; at each write.
  std::vector<IdlePower> idle;                                     ///< Read before the run.
  std::function<void()> synchronize_device;  ///< Called before a phase ends, so that its kernels are booked to it.
};

/// Books time, energy, utilisation, memory and work to the phases of one attempt. Phases never overlap: at any moment
/// one is current, from construction (load) to finish(). Thread-safe; a background thread samples.
class Ledger {
 public:
  /// Starts the attempt. Throws DataError when the attempts folder cannot be written.
  Ledger(LedgerOptions options, MeterSet meters, const core::Clock& clock = core::system_clock());
  /// Ends the sampling thread; where finish() was not reached it writes the record, as "failed: ..." where an error is
  /// on its way up, else as "running".
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Goes back to the phase that was current when it was made.
  class Scope {
   public:
    Scope(Ledger& ledger, Phase phase);
    /// Throws what synchronize_device throws, unless an exception is already on its way.
    ~Scope() noexcept(false);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Ledger& ledger_;
    Phase outer_;
    int exceptions_at_entry_;
  };

  Phase phase() const;
  /// Ends the current phase here and starts `phase`.
  void switch_phase(Phase phase);
  /// Enters `phase` until the scope ends: `auto scope = ledger.enter(Phase::kValidate);`
  [[nodiscard]] Scope enter(Phase phase) { return Scope(*this, phase); }

  /// Adds work done in `phase`. Updates also move last_update on.
  void add_work(Phase phase, const Work& work);
  /// Says that training goes on after `update` (0: from the start). Call before the first update is booked.
  void resume_from(int64_t update);

  /// Reads every meter and sampler and books the time since the last reading to the current phase.
  void sample();
  /// Writes this attempt's record: at each checkpoint. Throws DataError.
  void save();
  /// Ends the attempt: `outcome` is "finished", "stopped by signal 15" or the like. Writes the record. Throws DataError
  /// where it cannot; the record on disk then says that the attempt failed, as far as that can be written.
  void finish(const std::string& outcome);
  /// Ends it by an error that is on its way up: as finish(), but a record that cannot be written is a warning.
  void fail(const std::string& outcome);

  /// The attempt so far, after a fresh sample (none after finish()).
  AttemptRecord record();

 private:
  void change_phase(Phase phase);
  void take_sample();
  void take_power_peak();
  void start_power_window();
  void sample_host(double seconds, PhaseRecord& current);
  void note_sharing();
  void write_record();
  void write_periodically();
  void run_sampling();
  void stop_sampling();

  LedgerOptions options_;
  int exceptions_at_start_;
  MeterSet meters_;
  const core::Clock& clock_;
  std::string record_path_;
  std::mutex write_mutex_;    ///< Held while the record's file is written; taken before mutex_.
  mutable std::mutex mutex_;  ///< Guards all that follows.
  AttemptRecord record_;
  Phase phase_ = Phase::kLoad;
  bool finished_ = false;
  double last_sample_seconds_ = 0;
  double last_write_seconds_ = 0;
  std::vector<double> last_joules_;
  double power_window_start_seconds_ = 0;
  double power_window_start_joules_ = 0;
  CpuUtilisation cpu_utilisation_;
  double cpu_window_seconds_ = 0;  ///< Since the last utilisation that the kernel could give.
  double last_process_cpu_seconds_ = 0;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace txtsum::metrics
