#pragma once

#include <string>

namespace txtsum::app {

/// Keeps other programs of this kind out of a run's folder while it lives: a lock on the file `.lock` in it, which the
/// system gives back however the process ends. Of several ranks the first one holds it.
class RunLock {
 public:
  /// Makes the folder. Throws UserError where another process writes there, DataError where the folder cannot be
  /// written. One on another machine is waited for, as long as a network mount keeps the locks of a machine that is
  /// gone (StoppedBySignal meanwhile). A mount that knows no locks gets a warning.
  explicit RunLock(const std::string& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace txtsum::app
