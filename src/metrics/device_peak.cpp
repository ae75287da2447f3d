#include "txtsum/metrics/device_peak.h"

#include "metrics/data_sheets.h"

namespace txtsum::metrics {
namespace {

const char* const kUnit = "TFLOP/s";

}  // namespace

Figure find_device_peak(const DevicePeakOptions& options) {
  if (options.peak_tflops) return modelled(*options.peak_tflops, kUnit, "resources.peak_tflops");
  const std::string way_out = "set resources.peak_tflops";
  if (options.device_name.empty()) return missing(kUnit, "no table has the peak of a CPU: " + way_out);
  Figure best =
      missing(kUnit, "no table has the " + options.precision + " peak of '" + options.device_name + "': " + way_out);
  size_t best_length = 0;
  for (const DataSheet& sheet : data_sheets("devices", options.sheet_path)) {
    parse_sheet(sheet, [&](const core::Json& json) {
      for (const core::Json& row : json.at("rows")) {
        const std::string prefix = row.at("name_prefix").get<std::string>();
        const std::string key = options.precision + "_tflops";
        if (options.device_name.rfind(prefix, 0) != 0 || prefix.size() <= best_length || !row.contains(key)) continue;
        best_length = prefix.size();
        best = modelled(
            row.at(key).get<double>(), kUnit,
            json.at("name").get<std::string>() + ": " + row.at("product").get<std::string>() + ", " + options.precision,
            json.at("year").get<int>());
      }
    });
  }
  return best;
}

}  // namespace txtsum::metrics
