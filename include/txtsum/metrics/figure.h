#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "txtsum/core/json.h"

namespace txtsum::metrics {

/// How a figure came about.
enum class Provenance {
  kMeasured,  ///< Read from a meter of this machine.
  kModelled,  ///< Computed from a table or a value that the user stated.
  kMissing,   ///< Not known; the reason says what to do.
};

std::string_view provenance_name(Provenance provenance);

/// Parses what provenance_name gives. Throws DataError on any other word.
Provenance provenance_from_name(const std::string& name);

/// One number of the report with its origin. The value is null exactly when the provenance is kMissing.
struct Figure {
  std::optional<double> value;
  std::string unit;
  Provenance provenance = Provenance::kMissing;
  std::string source;        ///< Meter, table or config key; empty when missing.
  std::optional<int> year;   ///< Of the table; unset for meters and the user's own values.
  std::string note;          ///< Why it is missing and the way out, or what the value leaves out.
  bool lower_bound = false;  ///< The true value is this or more; the note says why.

  bool known() const { return value.has_value(); }
};

Figure measured(double value, std::string unit, std::string source, std::string note = "");
Figure modelled(double value, std::string unit, std::string source, std::optional<int> year = std::nullopt,
                std::string note = "");
Figure missing(std::string unit, std::string reason);

/// The figure as a lower bound for `reason`; as it is where there is no reason or no value.
Figure at_least(Figure figure, const std::string& reason);

/// The figure times `factor` in another unit, with the same origin; a missing figure stays missing.
Figure scaled(const Figure& figure, double factor, std::string unit);

/// `{"value", "unit", "tag", "source", "year", "note", "bound"}`; year and note only where there is one, bound
/// (`lower`) only for a lower bound.
core::Json to_json(const Figure& figure);

/// Reads what to_json gives. Throws DataError where it is not of that form.
Figure figure_from_json(const core::Json& json);

/// `second` - `first`, both in the same unit: measured where both are, modelled where one is, missing where one is. A
/// lower bound where the second is one; missing where the first is, since it bounds the difference on no side.
Figure difference(const Figure& first, const Figure& second);

}  // namespace txtsum::metrics
