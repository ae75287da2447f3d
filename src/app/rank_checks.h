#pragma once

#include <string>

#include "txtsum/config/experiment_config.h"
#include "txtsum/parallel/communicator.h"

// What could only fail after hours, or never be noticed, is looked for when the ranks start. All ranks call these.

namespace txtsum::app {

/// Throws UserError, on all ranks, with the first key that one has another value of than rank 0. `run.threads` and
/// section resources are each rank's own matter.
void require_same_config(const config::ExperimentConfig& config, parallel::Communicator& ranks);

/// Makes run.output and throws UserError, on all ranks, where it is another folder for one of them than for rank 0, as
/// on machines that do not share it; or where one cannot write there, though checkpoint.publish asks it to.
void require_shared_folder(const config::ExperimentConfig& config, parallel::Communicator& ranks);

}  // namespace txtsum::app
