#pragma once

#include <optional>
#include <string>
#include <vector>

#include "txtsum/metrics/figure.h"

namespace txtsum::metrics {

/// Config section `resources`, the part about money.
struct CostOptions {
  std::string vm_size;                 ///< e.g. Standard_NC24ads_A100_v4; empty: not stated.
  std::string region;                  ///< e.g. eastus; prices differ between regions.
  std::string priority = "dedicated";  ///< dedicated or low_priority.
  std::optional<double> usd_per_hour;  ///< The user's own price of the whole machine; replaces the table's.
  int machine_count = 1;               ///< Machines that the run holds.
  std::string sheet_path;              ///< A sheet in place of those inside the binary; empty: those.
};

/// Price of one whole machine in USD per hour, with its origin; missing with the key to set. Never another region's.
/// Throws UserError for a priority that is neither word, DataError for a sheet of the wrong form.
Figure find_price(const CostOptions& options);

/// USD for holding the machines for `wall_seconds`: the whole machine, used or not.
Figure estimate_cost(double wall_seconds, const Figure& usd_per_hour, int machine_count);

/// The sizes of all price tables, sorted: for a check of the config and its suggestions.
std::vector<std::string> known_vm_sizes(const std::string& sheet_path = "");

}  // namespace txtsum::metrics
