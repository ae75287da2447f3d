#pragma once

#include "txtsum/core/json.h"
#include "txtsum/metrics/run_totals.h"

namespace txtsum::metrics {

/// The factors that turn joules, seconds and FLOPs of a phase into its further figures.
struct PhaseFactors {
  CarbonIntensity carbon;
  Figure usd_per_hour;
  int machine_count = 1;
  Figure peak_tflops;  ///< Of one device.
};

/// The report's object of one phase, or of the whole run.
core::Json phase_to_json(const RunTotals& totals, const PhaseTotals& phase, const PhaseFactors& factors);

}  // namespace txtsum::metrics
