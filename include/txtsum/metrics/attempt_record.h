#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "txtsum/core/json.h"
#include "txtsum/metrics/device_sharing.h"
#include "txtsum/metrics/energy_meter.h"
#include "txtsum/metrics/idle_power.h"

namespace txtsum::metrics {

enum class Phase { kLoad, kTrain, kValidate, kGenerate, kSave };
inline constexpr int kPhaseCount = 5;
std::string_view phase_name(Phase phase);

/// Counted work. Padding does not exist in this program, so tokens are real tokens.
struct Work {
  int64_t examples = 0;
  int64_t source_tokens = 0;
  int64_t target_tokens = 0;  ///< Training: label tokens. Generation: tokens written.
  int64_t updates = 0;
  int64_t summaries = 0;
  double flops = 0;                  ///< Model FLOPs (flops.h), without recomputation.
  double spared_backward_flops = 0;  ///< Of gradients that frozen weights have none of, against training everything.
  double spared_encoder_flops = 0;   ///< Of the encoder's passes whose outputs were read instead.

  Work& operator+=(const Work& other);
};

/// What one phase of one attempt took. Sums over samples, so that records add up.
struct PhaseRecord {
  double seconds = 0;
  double device_seconds = 0;         ///< seconds x physical devices.
  std::vector<double> joules;        ///< One for each meter of the attempt.
  std::optional<double> peak_watts;  ///< Highest mean over one sampling period, all meters together.
  double cpu_busy_seconds = 0;       ///< Integral of the machine's CPU utilisation.
  double cpu_observed_seconds = 0;   ///< Seconds in which it was known.
  double process_cpu_seconds = 0;    ///< CPU time of this process.
  double device_busy_seconds = 0;    ///< Integral of the mean device utilisation.
  double device_observed_seconds = 0;
  std::optional<int64_t> peak_device_memory_bytes;
  std::optional<int64_t> peak_host_rss_bytes;
  Work work;
};

/// The outcome of an attempt that has not said how it ended.
inline constexpr const char* kRunning = "running";
/// That of one which failed, and whose end could not be written: its record is an earlier one (mark_failed).
inline constexpr const char* kFailed = "failed";

/// One start of the program in a run folder. Its file is rewritten whole, so a killed attempt leaves its last state.
struct AttemptRecord {
  int attempt = 0;  ///< 1, 2, ...
  std::string outcome = kRunning;
  double start_unix_seconds = 0;
  double end_unix_seconds = 0;  ///< Of the last write.
  std::string host_name;
  std::string device_name;
  int device_count = 1;
  int64_t resumed_from_update = 0;
  int64_t last_update = 0;
  std::optional<int64_t> peak_host_rss_bytes;  ///< The kernel's high-water mark of the whole attempt.
  int64_t failed_writes = 0;                   ///< Periodic writes that failed; the next good one holds everything.
  std::vector<MeterInfo> meters;
  std::vector<MissingMeter> missing;
  std::vector<IdlePower> idle;         ///< Before the attempt's work.
  std::vector<DeviceSharing> sharing;  ///< Each GPU that the attempt used on this machine.
  std::array<PhaseRecord, kPhaseCount> phases;

  PhaseRecord& phase(Phase phase) { return phases[static_cast<size_t>(phase)]; }
  const PhaseRecord& phase(Phase phase) const { return phases[static_cast<size_t>(phase)]; }
  double seconds() const;
};

core::Json to_json(const AttemptRecord& record);
/// Throws DataError naming `path` and the key that is wrong.
AttemptRecord attempt_from_json(const core::Json& json, const std::string& path);

/// `FOLDER/attempt-0001.json`.
std::string attempt_path(const std::string& folder, int attempt);
/// One more than the highest number in the folder; 1 where there is none.
int next_attempt_number(const std::string& folder);

struct AttemptFiles {
  std::vector<AttemptRecord> attempts;  ///< In order of their numbers.
  std::vector<std::string> unreadable;  ///< What was wrong with each file that is left out.
};
/// Reads every attempt of a run. A file that cannot be read is named, not fatal: a resume must not fail on it.
AttemptFiles read_attempts(const std::string& folder);

/// Says in the record at `path` that the attempt failed, over the outcome that stands there: where the disk is full no
/// new file can be written. Returns whether it could.
bool mark_failed(const std::string& path);

/// An attempt whose record is not of its end: what it did after its last write is in no record.
struct CutShort {
  size_t place;     ///< Among the attempts.
  const char* why;  ///< `killed without notice` or `unable to write its end`.
};
/// Attempts that never said how they ended although a later one has followed, and those that could not.
std::vector<CutShort> attempts_cut_short(const std::vector<AttemptRecord>& attempts);

/// Updates done more than once because a resume went back behind what an earlier attempt had reached.
struct RepeatedWork {
  int64_t updates = 0;
  double seconds = 0;  ///< The repeating attempts' train seconds, by share of their updates.
  double joules = 0;   ///< Likewise.
};
RepeatedWork repeated_work(const std::vector<AttemptRecord>& attempts);

}  // namespace txtsum::metrics
