#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "txtsum/config/run_config.h"
#include "txtsum/metrics/device_sharing.h"
#include "txtsum/metrics/idle_power.h"
#include "txtsum/ops/device.h"
#include "txtsum/parallel/communicator.h"
#include "txtsum/parallel/rank_environment.h"

namespace txtsum::app {

/// Where a run computes.
struct ComputeDevice {
  c10::Device device = c10::Device(c10::kCPU);
  std::optional<ops::DeviceFacts> gpu;  ///< None on the CPU.
  // Of all ranks of the run:
  std::vector<metrics::UsedGpu> gpus_here;  ///< The GPUs that are on this machine, each once.
  int devices = 1;                          ///< GPUs on all machines, or machines where ranks are on CPUs.
  std::vector<metrics::IdlePower> idle;     ///< What this machine and these GPUs drew before (idle_power).
};

/// Opens the device that run.device names; before the first tensor is made. Of several GPUs it is the rank's. Throws
/// UserError where this binary has no code for GPUs, EnvironmentError where the machine has none that it can use
/// (gpu_driver.h): before any model or data is read.
ComputeDevice open_device(config::Device device, const parallel::RankEnvironment& rank = {});

/// Fills in what the ranks together use; `device.idle` is the own rank's before. All ranks call it. Rank 0, whose
/// machine alone the ledger can measure, warns where others are on other machines.
void count_devices(ComputeDevice& device, parallel::Communicator& ranks);

}  // namespace txtsum::app
