#pragma once

#include <string>

#include "txtsum/core/json.h"
#include "txtsum/train/observer.h"

namespace txtsum::app {

/// What kept the GPU busy, in one line.
std::string gpu_work_text(const train::GpuWork& work);

/// The same for report.json.
core::Json to_json(const train::GpuWork& work);

}  // namespace txtsum::app
