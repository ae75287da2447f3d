#include "txtsum/core/clock.h"

#include <chrono>
#include <ctime>

namespace txtsum::core {
namespace {

class SystemClock final : public Clock {
 public:
  double monotonic_seconds() const override { return seconds(std::chrono::steady_clock::now()); }
  double unix_seconds() const override { return seconds(std::chrono::system_clock::now()); }

 private:
  template <typename Point>
  static double seconds(Point point) {
    return std::chrono::duration<double>(point.time_since_epoch()).count();
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

std::string format_utc(double unix_seconds) {
  const std::time_t time = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return buffer;
}

}  // namespace txtsum::core
