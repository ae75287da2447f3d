#pragma once

#include <string>
#include <vector>

#include "app/finished_run.h"

namespace txtsum::app {

/// Runs that one page can show: each has a letter.
inline constexpr size_t kMostRunsOnPage = 26;

/// One self-contained page of HTML on the runs, side by side where there are several: nothing in it is fetched, and no
/// script runs. The same runs give the same bytes. Throws DataError where a report is not of the expected form.
std::string report_page(const std::vector<FinishedRun>& runs);

}  // namespace txtsum::app
