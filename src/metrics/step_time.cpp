#include "txtsum/metrics/step_time.h"

namespace txtsum::metrics {

double step_seconds(const StepWork& work, const StepDevice& device) {
  if (device.bytes_per_second <= 0) return work.flops / (kHostProductShare * device.flops_per_second);
  return work.flops / (kProductShare * device.flops_per_second) +
         kActivationPasses * work.activation_bytes / device.bytes_per_second +
         work.state_bytes / (kStateShare * device.bytes_per_second) + work.passes * kPassSeconds +
         work.sent_bytes / kLinkBytesPerSecond;
}

}  // namespace txtsum::metrics
