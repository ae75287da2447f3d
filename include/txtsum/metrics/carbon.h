#pragma once

#include <optional>
#include <string>
#include <vector>

#include "txtsum/metrics/figure.h"

namespace txtsum::metrics {

/// Config section `resources`, the part about carbon.
struct CarbonOptions {
  std::string region;                   ///< Azure region, e.g. westus2; empty: not stated.
  std::optional<double> grams_per_kwh;  ///< The user's own; replaces the tables.
  std::optional<double> pue;            ///< The user's own; replaces the tables'.
  std::string sheet_path;               ///< A sheet in place of those inside the binary; empty: those.
};

/// Grams of CO2e per kWh by one table.
struct CarbonFactor {
  double grams_per_kwh = 0;
  std::string table;
  std::string source;
  std::string licence;
  std::string method;
  std::optional<int> year;
};

/// What is known of a place's grid and data centre.
struct CarbonIntensity {
  std::vector<CarbonFactor> factors;  ///< Each table that knows the region, or the user's value alone.
  Figure pue;                         ///< Facility energy over IT energy; missing where nobody states one.
  std::string problem;                ///< Why there are no factors, and the key to set.
};

/// Looks the region up in every table. A region that no table knows, or none stated, gives no factor: never an average
/// of the world or of a country that was not asked for. Throws DataError for a sheet of the wrong form.
CarbonIntensity find_carbon_intensity(const CarbonOptions& options);

/// The regions of all tables, sorted: for a check of the config and its suggestions.
std::vector<std::string> known_carbon_regions(const std::string& sheet_path = "");

/// Emissions of one amount of energy: IT energy x PUE x grams per kWh, by each table.
struct CarbonEstimate {
  Figure low_grams;           ///< The lowest of the tables.
  Figure high_grams;          ///< The highest; equal to low where one table knows the region.
  std::vector<double> grams;  ///< By each factor, in order.
};
CarbonEstimate estimate_carbon(const Figure& energy_kwh, const CarbonIntensity& intensity);

}  // namespace txtsum::metrics
