#pragma once

#include <string>
#include <vector>

#include "txtsum/metrics/attempt_record.h"
#include "txtsum/metrics/carbon.h"

namespace txtsum::metrics {

/// What a row says besides the attempt's own numbers.
struct EmissionsFacts {
  std::string project_name = "txtsum";
  std::string run_id;  ///< The run's; a row's is `RUN_ID-attempt-0001`.
  std::string experiment_id;
  std::string cloud_region;  ///< Azure region; empty off the cloud.
  std::string os;
  std::string cpu_model;
  int cpu_count = 0;
  int gpu_count = 0;
  std::string gpu_model;
  double ram_total_gb = 0;
};

/// The columns of CodeCarbon 3.3, in its order.
const std::vector<std::string>& emissions_columns();

/// Writes one row an attempt with CodeCarbon's columns and units (kg, kWh, W; energies and powers include the PUE, as
/// there). `emissions` is the highest of the tables that know the region. What is missing is an empty cell. Rows of
/// other runs in the file stay; rows of this run are replaced, so it can be called at any time. A file with other
/// columns is moved to `PATH.bak`. Throws DataError.
void write_emissions_csv(const std::string& path, const std::vector<AttemptRecord>& attempts,
                         const CarbonIntensity& intensity, const EmissionsFacts& facts);

}  // namespace txtsum::metrics
