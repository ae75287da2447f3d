#pragma once

#include <exception>
#include <functional>
#include <string>

#include "app/compute_device.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/parallel/communicator.h"

namespace txtsum::app {

/// Opens the device that `config` names and joins the ranks of this run; does this rank's part of a command
/// (run_as_rank) when all have been seen to have the same config.
void run_on_ranks(const config::ExperimentConfig& config,
                  const std::function<void(parallel::Communicator&, ComputeDevice&)>& work);

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
