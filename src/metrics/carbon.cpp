#include "txtsum/metrics/carbon.h"

#include <algorithm>
#include <set>

#include "metrics/data_sheets.h"

namespace txtsum::metrics {
namespace {

const char* const kWayOut = "set resources.grams_per_kwh, or resources.region to an Azure region of configs/carbon";

std::string text_of(const core::Json& json, const char* key) { return json.at(key).get<std::string>(); }

/// The sheet's row for the region, or null.
const core::Json* find_row(const core::Json& sheet, const std::string& region) {
  for (const core::Json& row : sheet.at("rows")) {
    if (row.at("region").get<std::string>() == region) return &row;
  }
  return nullptr;
}

int row_year(const core::Json& sheet, const core::Json& row) {
  return row.contains("year") ? row.at("year").get<int>() : sheet.at("year").get<int>();
}

void add_factor(CarbonIntensity& result, const core::Json& sheet, const core::Json& row) {
  // Read first: a sheet that does not say where it comes from is refused even where it lists a PUE alone.
  CarbonFactor factor{0.0,
                      text_of(sheet, "name"),
                      text_of(sheet, "source"),
                      text_of(sheet, "licence"),
                      text_of(sheet, "method"),
                      row_year(sheet, row)};
  if (!row.contains("grams_co2e_per_kwh")) return;
  factor.grams_per_kwh = row.at("grams_co2e_per_kwh").get<double>();
  result.factors.push_back(std::move(factor));
}

Figure pue_of(const core::Json& sheet, double value, int year) {
  return modelled(value, "kWh/kWh", text_of(sheet, "name"), year);
}

/// A carbon sheet's PUE of the region comes first, then a PUE sheet's, then the fleet's.
Figure find_pue(const std::vector<DataSheet>& sheets, const std::string& region) {
  Figure fallback = missing("kWh/kWh", "no table has a PUE; set resources.pue");
  for (const DataSheet& sheet : sheets) {
    Figure found;
    parse_sheet(sheet, [&](const core::Json& json) {
      const core::Json* row = find_row(json, region);
      if (row && row->contains("pue")) found = pue_of(json, row->at("pue").get<double>(), row_year(json, *row));
      if (json.contains("fleet_pue")) {
        fallback = pue_of(json, json.at("fleet_pue").get<double>(), json.at("year").get<int>());
        fallback.note = "average of the provider's data centres: no table has one for " + region;
      }
    });
    if (found.known()) return found;
  }
  return fallback;
}

}  // namespace

CarbonIntensity find_carbon_intensity(const CarbonOptions& options) {
  CarbonIntensity result;
  const std::vector<DataSheet> sheets = data_sheets("carbon", options.sheet_path);
  if (!options.region.empty()) {
    for (const DataSheet& sheet : sheets) {
      parse_sheet(sheet, [&](const core::Json& json) {
        if (const core::Json* row = find_row(json, options.region)) add_factor(result, json, *row);
      });
    }
  }
  if (options.grams_per_kwh) {
    result.factors = {
        {*options.grams_per_kwh, "resources.grams_per_kwh", "stated in the config", "", "as stated", std::nullopt}};
  }
  const bool table_knows = !result.factors.empty() && !options.region.empty();
  if (options.pue) {
    result.pue = modelled(*options.pue, "kWh/kWh", "resources.pue");
  } else if (table_knows) {
    result.pue = find_pue(sheets, options.region);
  } else {
    result.pue = missing("kWh/kWh", "no PUE is stated: grams are of the IT energy alone. Set resources.pue");
  }
  if (result.factors.empty()) {
    result.problem = options.region.empty() ? std::string("the region is not stated: ") + kWayOut
                                            : "no table knows the region '" + options.region + "': " + kWayOut;
  }
  return result;
}

std::vector<std::string> known_carbon_regions(const std::string& sheet_path) {
  std::set<std::string> regions;
  for (const DataSheet& sheet : data_sheets("carbon", sheet_path)) {
    parse_sheet(sheet, [&](const core::Json& json) {
      for (const core::Json& row : json.at("rows")) {
        if (row.contains("grams_co2e_per_kwh")) regions.insert(text_of(row, "region"));
      }
    });
  }
  return {regions.begin(), regions.end()};
}

CarbonEstimate estimate_carbon(const Figure& energy_kwh, const CarbonIntensity& intensity) {
  CarbonEstimate result;
  if (intensity.factors.empty() || !energy_kwh.known()) {
    const std::string reason =
        intensity.factors.empty() ? intensity.problem : "the energy is missing: " + energy_kwh.note;
    result.low_grams = missing("g CO2e", reason);
    result.high_grams = result.low_grams;
    return result;
  }
  for (const CarbonFactor& factor : intensity.factors) {
    result.grams.push_back(*energy_kwh.value * intensity.pue.value.value_or(1.0) * factor.grams_per_kwh);
  }
  const auto [low, high] = std::minmax_element(result.grams.begin(), result.grams.end());
  const auto figure_of = [&](std::vector<double>::iterator place) {
    const CarbonFactor& factor = intensity.factors[static_cast<size_t>(place - result.grams.begin())];
    Figure grams = modelled(*place, "g CO2e", factor.table, factor.year, energy_kwh.note);
    grams.lower_bound = energy_kwh.lower_bound;
    return grams;
  };
  result.low_grams = figure_of(low);
  result.high_grams = figure_of(high);
  return result;
}

}  // namespace txtsum::metrics
