#pragma once

#include <optional>
#include <string>

#include "txtsum/metrics/figure.h"

namespace txtsum::metrics {

struct DevicePeakOptions {
  std::string device_name;            ///< As the driver gives it; empty on a CPU.
  std::string precision = "bf16";     ///< fp32, tf32, fp16 or bf16: the type of the matrix products.
  std::optional<double> peak_tflops;  ///< Config key resources.peak_tflops; replaces the table's.
  std::string sheet_path;             ///< A sheet in place of those inside the binary; empty: those.
};

/// Peak of one device in TFLOP/s, dense; missing with the key to set where no table knows it.
Figure find_device_peak(const DevicePeakOptions& options);

}  // namespace txtsum::metrics
