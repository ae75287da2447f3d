#pragma once

#include <stdexcept>
#include <string>

namespace txtsum::core {

/// Base of every error that the program reports by itself. `exit_code` is what the process returns when nobody catches
/// it.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, int exit_code) : std::runtime_error(message), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

/// A wrong command line or config. The text names file, line or key, what is wrong, and what to do. Exit code 2.
class UserError : public Error {
 public:
  explicit UserError(const std::string& message) : Error(message, 2) {}
};

/// A file that is missing, corrupt or of the wrong shape. The text names path, offset or line, wanted and found. Exit
/// code 3.
class DataError : public Error {
 public:
  explicit DataError(const std::string& message) : Error(message, 3) {}
};

/// A broken invariant of this program; thrown by TXTSUM_CHECK only. Exit code 70.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& message) : Error(message, 70) {}
};

/// Something that the machine could not give: memory, a device. The text says what was asked and what asks for less.
/// Exit code 71.
class EnvironmentError : public Error {
 public:
  explicit EnvironmentError(const std::string& message) : Error(message, 71) {}
};

/// Another rank of the run is gone, stands still or has given up. The text names the update, the phase, the collective
/// and, where it is known, the rank. Exit code 71.
class RankError : public Error {
 public:
  explicit RankError(const std::string& message) : Error(message, 71) {}
};

/// The process was asked to stop by a signal and has saved what it had. Exit code 128 + signal.
class StoppedBySignal : public Error {
 public:
  StoppedBySignal(const std::string& message, int signal) : Error(message, 128 + signal) {}
};

}  // namespace txtsum::core
