#include "txtsum/metrics/host_sampler.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace txtsum::metrics {
namespace {

struct CpuTicks {
  uint64_t busy = 0;
  uint64_t total = 0;
};

std::optional<CpuTicks> read_cpu_ticks(const std::string& path) {
  std::ifstream file(path);
  std::string label;
  // user nice system idle iowait irq softirq steal; the guest fields that follow are already inside user and nice.
  uint64_t ticks[8] = {};
  if (!(file >> label) || label != "cpu") return std::nullopt;
  for (uint64_t& tick : ticks) {
    if (!(file >> tick)) return std::nullopt;
  }
  CpuTicks result;
  for (const uint64_t tick : ticks) result.total += tick;
  result.busy = result.total - ticks[3] - ticks[4] - ticks[7];
  return result;
}

/// The number after `key` in files of lines like `VmRSS:  1234 kB`, in bytes.
std::optional<int64_t> read_kib_line(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind(key + ":", 0) != 0) continue;
    std::istringstream rest(line.substr(key.size() + 1));
    int64_t kib = 0;
    if (rest >> kib) return kib * 1024;
  }
  return std::nullopt;
}

}  // namespace

CpuUtilisation::CpuUtilisation(const std::string& proc_root) : path_(proc_root + "/stat") {
  if (const auto ticks = read_cpu_ticks(path_)) {
    busy_ticks_ = ticks->busy;
    total_ticks_ = ticks->total;
  }
}

bool CpuUtilisation::readable() const { return read_cpu_ticks(path_).has_value(); }

std::optional<double> CpuUtilisation::sample() {
  const auto ticks = read_cpu_ticks(path_);
  // Idle and I/O-wait counts may go back a little (proc(5)); such a window is left to the next sample.
  if (!ticks || ticks->total <= total_ticks_) return std::nullopt;
  const double busy = static_cast<double>(ticks->busy) - static_cast<double>(busy_ticks_);
  const double share = std::clamp(busy / static_cast<double>(ticks->total - total_ticks_), 0.0, 1.0);
  busy_ticks_ = ticks->busy;
  total_ticks_ = ticks->total;
  return share;
}

std::optional<double> process_cpu_seconds(const std::string& proc_root) {
  std::ifstream file(proc_root + "/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // The program's name, in parentheses, may hold spaces and parentheses itself: fields count from the last one.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(text.substr(name_end + 1));
  std::vector<std::string> fields((std::istream_iterator<std::string>(rest)), std::istream_iterator<std::string>());
  constexpr size_t kUserField = 11;    // utime, field 14 of proc(5); `fields` starts at field 3.
  constexpr size_t kSystemField = 12;  // stime
  if (fields.size() <= kSystemField) return std::nullopt;
  const double ticks = std::stod(fields[kUserField]) + std::stod(fields[kSystemField]);
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::optional<ProcessMemory> process_memory(const std::string& proc_root) {
  const std::string path = proc_root + "/self/status";
  const auto resident = read_kib_line(path, "VmRSS");
  const auto peak = read_kib_line(path, "VmHWM");
  if (!resident) return std::nullopt;
  return ProcessMemory{*resident, std::max(*resident, peak.value_or(0))};
}

std::optional<int64_t> machine_memory_bytes(const std::string& proc_root) {
  return read_kib_line(proc_root + "/meminfo", "MemTotal");
}

std::string cpu_model_name(const std::string& proc_root) {
  std::ifstream file(proc_root + "/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

}  // namespace txtsum::metrics
