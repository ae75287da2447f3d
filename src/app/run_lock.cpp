#include "app/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "app/run_ledger.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

/// Who holds the lock, as far as it has said so.
std::string holder(const std::string& path) {
  try {
    const std::string text = core::read_file(path);
    return text.empty() ? "" : " (" + text.substr(0, text.find('\n')) + ")";
  } catch (const core::DataError&) {
    return "";
  }
}

}  // namespace

RunLock::RunLock(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw core::DataError(folder + ": cannot make the run folder: " + error.message());
  const std::string path = folder + "/.lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) throw core::DataError(folder + ": cannot write into the run folder: " + std::strerror(errno));
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (reason == EWOULDBLOCK) {
      ::close(fd_);
      throw core::UserError(folder + ": another txtsum" + holder(path) +
                            " is writing there: wait until it has ended, or take another folder (run.output=...)");
    }
    core::log_warning(folder + ": the mount has no locks (" + std::strerror(reason) +
                      "), so a second run in this folder would not be noticed");
    return;
  }
  const std::string text = "process " + std::to_string(::getpid()) + " on " + host_name() + "\n";
  // Only for the message above.
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, text.data(), text.size(), 0) < 0) core::log_debug(path + ": not named");
}

RunLock::~RunLock() { ::close(fd_); }

}  // namespace txtsum::app
