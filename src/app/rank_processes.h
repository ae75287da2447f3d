#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace txtsum::app {

/// The ranks that `txtsum launch` starts: copies of this program on this machine.
struct RankProcessOptions {
  int64_t processes = 1;
  std::vector<std::string> arguments;  ///< Of each copy.
  double grace_seconds = 30.0;         ///< From a rank's failure to SIGTERM for the others, and from there to SIGKILL.
};

/// Starts the ranks and waits until all have ended; returns the first status that was not 0 (128 + n for signal n),
/// else 0. Rank 0 has this process's input and output; the lines of the others go to stderr behind `rank K: `. SIGTERM
/// and SIGINT are passed on. The ranks end with this process, whatever ends it. Throws EnvironmentError where one
/// cannot be started.
int run_rank_processes(const RankProcessOptions& options);

}  // namespace txtsum::app
