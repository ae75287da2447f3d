#include "txtsum/metrics/cost.h"

#include <set>

#include "metrics/data_sheets.h"
#include "txtsum/core/error.h"

namespace txtsum::metrics {
namespace {

constexpr double kSecondsPerHour = 3600.0;
const char* const kUnit = "USD/h";

/// What the tables know about a size, gathered while looking for the price.
struct Search {
  std::optional<Figure> price;
  std::set<std::string> regions;  ///< Where the size has a price.
};

void search_sheet(const core::Json& sheet, const CostOptions& options, Search& search) {
  for (const core::Json& row : sheet.at("rows")) {
    if (row.at("vm_size").get<std::string>() != options.vm_size) continue;
    const std::string region = row.at("region").get<std::string>();
    search.regions.insert(region);
    if (region != options.region || row.at("priority").get<std::string>() != options.priority) continue;
    const int year = row.contains("year") ? row.at("year").get<int>() : sheet.at("year").get<int>();
    const std::string source = sheet.at("name").get<std::string>() + ": " + options.vm_size + ", " + region + ", " +
                               options.priority + " (" + sheet.at("source").get<std::string>() + ")";
    search.price = modelled(row.at("usd_per_hour").get<double>(), kUnit, source, year, row.value("method", ""));
  }
}

std::string joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Figure find_price(const CostOptions& options) {
  if (options.priority != "dedicated" && options.priority != "low_priority") {
    throw core::UserError("resources.priority is '" + options.priority + "'; wanted dedicated or low_priority");
  }
  if (options.usd_per_hour) return modelled(*options.usd_per_hour, kUnit, "resources.usd_per_hour");
  const std::string way_out = "set resources.usd_per_hour";
  if (options.vm_size.empty()) {
    return missing(kUnit, "the machine is not stated: " + way_out + ", or resources.vm_size and resources.region");
  }
  Search search;
  for (const DataSheet& sheet : data_sheets("prices", options.sheet_path)) {
    parse_sheet(sheet, [&](const core::Json& json) { search_sheet(json, options, search); });
  }
  if (search.price) return *search.price;
  if (search.regions.empty()) return missing(kUnit, "no table knows the size '" + options.vm_size + "': " + way_out);
  const std::string place = options.region.empty() ? "no region is stated" : "not for '" + options.region + "'";
  return missing(kUnit, "the tables have a price of " + options.vm_size + " for " + joined(search.regions) + "; " +
                            place + ": " + way_out + ", or resources.region to one of these");
}

Figure estimate_cost(double wall_seconds, const Figure& usd_per_hour, int machine_count) {
  return scaled(usd_per_hour, wall_seconds / kSecondsPerHour * machine_count, "USD");
}

std::vector<std::string> known_vm_sizes(const std::string& sheet_path) {
  std::set<std::string> sizes;
  for (const DataSheet& sheet : data_sheets("prices", sheet_path)) {
    parse_sheet(sheet, [&](const core::Json& json) {
      for (const core::Json& row : json.at("rows")) sizes.insert(row.at("vm_size").get<std::string>());
    });
  }
  return {sizes.begin(), sizes.end()};
}

}  // namespace txtsum::metrics
