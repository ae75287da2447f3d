#pragma once

#include <memory>
#include <string>

namespace txtsum::core {

/// Source of time; tests pass a fake.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Seconds on a clock that never goes back; the origin is arbitrary.
  virtual double monotonic_seconds() const = 0;
  /// Seconds since 1970-01-01 UTC.
  virtual double unix_seconds() const = 0;
};

/// The machine's clock.
const Clock& system_clock();

/// Formats Unix seconds as `2026-11-23T23:59:59Z`.
std::string format_utc(double unix_seconds);

}  // namespace txtsum::core
