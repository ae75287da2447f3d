#include "txtsum/metrics/step_time.h"

#include <algorithm>

namespace txtsum::metrics {

StepTime step_time(const StepWork& work, const StepDevice& device) {
  if (device.bytes_per_second <= 0) return {work.flops / (kHostProductShare * device.flops_per_second), 0};
  const double passes = work.flops / (kProductShare * device.flops_per_second) +
                        kActivationPasses * work.activation_bytes / device.bytes_per_second +
                        work.passes * kPassSeconds;
  StepTime time;
  time.device =
      passes + work.state_bytes / (kStateShare * device.bytes_per_second) + work.sent_bytes / kLinkBytesPerSecond;
  if (work.host_bytes <= 0) return time;
  const double hidden = work.goes_along ? kBackwardShare * passes / work.passes : 0.0;
  time.host = std::max(0.0, work.host_bytes / (kHostStateShare * device.host_bytes_per_second) - hidden);
  return time;
}

}  // namespace txtsum::metrics
