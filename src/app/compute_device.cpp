#include "app/compute_device.h"

#include <stdexcept>

#include "txtsum/core/error.h"

namespace txtsum::app {

ComputeDevice open_device(config::Device device, int64_t number) {
  ComputeDevice result;
  if (device == config::Device::kCpu) return result;
  if (!ops::built_for_gpus()) {
    throw core::UserError(
        "run.device=cuda: this binary has no code for GPUs. Build it with `cmake --preset cuda`, or set "
        "run.device=cpu");
  }
  const std::vector<ops::DeviceFacts> gpus = ops::visible_gpus();
  if (gpus.empty()) {
    throw std::runtime_error(
        "run.device=cuda: the driver shows this process no GPU (see nvidia-smi and CUDA_VISIBLE_DEVICES); or set "
        "run.device=cpu");
  }
  const size_t chosen = static_cast<size_t>(number) % gpus.size();
  result.gpu = gpus[chosen];
  result.device = c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(chosen));
  ops::use_device(result.device);
  return result;
}

}  // namespace txtsum::app
