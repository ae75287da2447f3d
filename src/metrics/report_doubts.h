#pragma once

#include "txtsum/core/json.h"
#include "txtsum/metrics/attempt_record.h"
#include "txtsum/metrics/run_totals.h"

namespace txtsum::metrics {

/// What makes figures of a run less than they say, `{"what", "reason"}` each: attempts that were cut short,
/// records that cannot be read, other processes on a GPU, MIG.
core::Json doubts_json(const AttemptFiles& files);

/// The machine's draw before the run by component, of the newest attempt that has it.
core::Json idle_watts_json(const RunTotals& totals, const std::vector<AttemptRecord>& attempts);

}  // namespace txtsum::metrics
