#pragma once

#include <string>

#include "txtsum/core/json.h"
#include "txtsum/train/observer.h"

namespace txtsum::app {

/// What kept the GPU busy, in one line.
std::string gpu_work_text(const train::GpuWork& work);

/// For report.json.
core::Json to_json(const train::GpuWork& work);
core::Json to_json(const train::RankWork& work);

}  // namespace txtsum::app
