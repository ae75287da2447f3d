#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace txtsum::metrics {

/// Share of the machine's CPU time that was busy between two calls, from /proc/stat. Idle, I/O wait and time stolen by
/// other virtual machines are not busy. In a container this is the whole host.
class CpuUtilisation {
 public:
  /// The window starts at construction.
  explicit CpuUtilisation(const std::string& proc_root = "/proc");
  /// 0 to 1 since the last call; nothing when no tick has passed or the file cannot be read.
  std::optional<double> sample();
  /// False where the file cannot be read.
  bool readable() const;

 private:
  std::string path_;
  uint64_t busy_ticks_ = 0;
  uint64_t total_ticks_ = 0;
};

/// CPU seconds (user and system, all threads) that this process has used, from /proc/self/stat.
std::optional<double> process_cpu_seconds(const std::string& proc_root = "/proc");

/// Bytes of this process in memory now, and the most so far (the kernel's own high-water mark).
struct ProcessMemory {
  int64_t resident_bytes = 0;
  int64_t peak_resident_bytes = 0;
};
std::optional<ProcessMemory> process_memory(const std::string& proc_root = "/proc");

/// Installed memory of the machine in bytes, from /proc/meminfo.
std::optional<int64_t> machine_memory_bytes(const std::string& proc_root = "/proc");

/// Model name of the first CPU in /proc/cpuinfo; empty when unknown.
std::string cpu_model_name(const std::string& proc_root = "/proc");

}  // namespace txtsum::metrics
