#pragma once

#include <string>
#include <vector>

#include "txtsum/core/json.h"
#include "txtsum/ops/device.h"

namespace txtsum::app {

/// Why this program cannot use the machine's GPUs, with the way out; empty where it can. `version` is the driver's own
/// number as NVML says it, empty where it does not.
///   - no driver; a driver older than the CUDA runtime that is linked needs: the same major number of CUDA does
///   (NVIDIA's
///     minor version compatibility), and so do the compatibility libraries of a newer one, which then speak for the
///     driver;
///   - compatibility libraries on a card that may not use them, or of another driver than the kernel's;
///   - no GPU that this process sees, or what else CUDA says.
std::string driver_problem(const ops::DriverFacts& driver, const std::string& version);

/// Why the binary has no code for a GPU; empty where it has. `architectures` are CMake's, as
/// `75-real,80-real,90a-real`: code for 8.0 runs on 8.6 too, code for 9.0a on 9.0 alone. Where none is named, nothing
/// is refused.
std::string architecture_problem(const ops::DeviceFacts& gpu, const std::string& architectures);

/// What of the work runs in fused kernels on a GPU of this major compute capability, a sentence each.
std::vector<std::string> fused_on(int major);

/// The driver as `txtsum info` shows it: version, the newest CUDA that it serves, what this binary needs, the state.
core::Json driver_json(const ops::DriverFacts& driver, const std::string& version);

/// `13.0` for 13000.
std::string cuda_version_text(int number);

}  // namespace txtsum::app
