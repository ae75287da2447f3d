#include "app/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "app/run_ledger.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"
#include "txtsum/core/stop_signal.h"

namespace txtsum::app {
namespace {

/// A machine that dies keeps its locks on a network mount for about so long.
constexpr std::chrono::seconds kLease(120);
/// A process of this machine that was killed keeps its lock until its memory and its GPU are freed.
constexpr std::chrono::seconds kEnding(10);
constexpr std::chrono::milliseconds kPause(200);

bool take(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0; }

/// A lock needs no right to write: the file may be another user's, on a mount that opens nothing for writing again.
int open_lock(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  return fd >= 0 ? fd : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

/// Who holds the lock, as far as it has said so.
std::string holder(const std::string& path) {
  try {
    const std::string text = core::read_file(path);
    return text.substr(0, text.find('\n'));
  } catch (const core::DataError&) {
    return "";
  }
}

/// Waits for a lock that another process holds: a run that goes on there keeps it, who is gone or about to go does not.
bool take_within(std::chrono::seconds most, int fd, const std::string& folder, const std::string& who,
                 const char* hope) {
  core::log_warning(folder + ": held by " + (who.empty() ? "another txtsum" : who) + "; waiting up to " +
                    std::to_string(most.count()) + " s, in case " + hope);
  const auto end = std::chrono::steady_clock::now() + most;
  while (std::chrono::steady_clock::now() < end) {
    if (take(fd)) return true;
    if (const int signal = core::stop_signal()) {
      throw core::StoppedBySignal("stopped while it waited for " + folder, signal);
    }
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

}  // namespace

RunLock::RunLock(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw core::DataError(folder + ": cannot make the run folder: " + error.message());
  const std::string path = folder + "/.lock", own_host = " on " + host_name();
  fd_ = open_lock(path);
  if (fd_ < 0) throw core::DataError(folder + ": cannot write into the run folder: " + std::strerror(errno));
  if (!take(fd_)) {
    const int reason = errno;
    if (reason != EWOULDBLOCK && reason != EACCES) {  // as SMB says it
      core::log_warning(folder + ": the mount has no locks (" + std::strerror(reason) +
                        "), so a second run in this folder would not be noticed");
      return;
    }
    const std::string who = holder(path);
    const bool elsewhere = !who.empty() && !who.ends_with(own_host);
    const bool taken = elsewhere ? take_within(kLease, fd_, folder, who, "that machine is gone")
                                 : take_within(kEnding, fd_, folder, who, "it is ending");
    if (!taken) {
      ::close(fd_);
      throw core::UserError(folder + ": another txtsum" + (who.empty() ? "" : " (" + who + ")") +
                            " is writing there: wait until it has ended, or take another folder (run.output=...)");
    }
  }
  const std::string text = "process " + std::to_string(::getpid()) + own_host + "\n";
  // Only for the message above.
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, text.data(), text.size(), 0) < 0) core::log_debug(path + ": not named");
}

RunLock::~RunLock() { ::close(fd_); }

}  // namespace txtsum::app
