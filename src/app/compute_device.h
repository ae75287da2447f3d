#pragma once

#include <c10/core/Device.h>

#include <optional>

#include "txtsum/config/run_config.h"
#include "txtsum/ops/device.h"

namespace txtsum::app {

/// Where a run computes.
struct ComputeDevice {
  c10::Device device = c10::Device(c10::kCPU);
  std::optional<ops::DeviceFacts> gpu;  ///< None on the CPU.
};

/// Opens the device that run.device names; before the first tensor is made. Of several GPUs `number` says which,
/// counted from the first again where there are fewer. Throws UserError where this binary has no code for it,
/// std::runtime_error where the machine has none.
ComputeDevice open_device(config::Device device, int64_t number = 0);

}  // namespace txtsum::app
