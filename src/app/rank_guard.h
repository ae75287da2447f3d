#pragma once

#include <exception>
#include <functional>
#include <string>

#include "txtsum/parallel/communicator.h"

namespace txtsum::app {

/// Does a rank's part of a command. What it throws, the other ranks hear of; where another rank was stopped by a signal
/// before all could agree on it (load_as_rank), this one throws StoppedBySignal too.
void run_as_rank(parallel::Communicator& ranks, const std::function<void()>& work);

/// Does what takes long and has no collectives, as reading model and data: where another rank fails or is stopped
/// meanwhile, this one's stop signal is raised, so that it does not go on for nothing.
void load_as_rank(parallel::Communicator& ranks, const std::function<void()>& work);

/// The signal that stopped another rank while it loaded, by what a RankError says of it; 0 where it says something
/// else.
int signal_in(const std::string& problem);

/// How an attempt ended, for the ledger: `stopped by signal 15` or `failed: ...`.
std::string outcome_of(const std::exception& error);

}  // namespace txtsum::app
