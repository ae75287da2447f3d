#include "txtsum/metrics/figure.h"

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"

namespace txtsum::metrics {

std::string_view provenance_name(Provenance provenance) {
  switch (provenance) {
    case Provenance::kMeasured:
      return "measured";
    case Provenance::kModelled:
      return "modelled";
    case Provenance::kMissing:
      break;
  }
  return "missing";
}

Provenance provenance_from_name(const std::string& name) {
  for (const Provenance provenance : {Provenance::kMeasured, Provenance::kModelled, Provenance::kMissing}) {
    if (name == provenance_name(provenance)) return provenance;
  }
  throw core::DataError("unknown tag '" + name + "'; wanted measured, modelled or missing");
}

Figure measured(double value, std::string unit, std::string source, std::string note) {
  return {value, std::move(unit), Provenance::kMeasured, std::move(source), std::nullopt, std::move(note)};
}

Figure modelled(double value, std::string unit, std::string source, std::optional<int> year, std::string note) {
  return {value, std::move(unit), Provenance::kModelled, std::move(source), year, std::move(note)};
}

Figure missing(std::string unit, std::string reason) {
  return {std::nullopt, std::move(unit), Provenance::kMissing, "", std::nullopt, std::move(reason)};
}

Figure at_least(Figure figure, const std::string& reason) {
  if (!figure.known() || reason.empty()) return figure;
  figure.lower_bound = true;
  figure.note += (figure.note.empty() ? "" : "; ") + ("at least: " + reason);
  return figure;
}

Figure scaled(const Figure& figure, double factor, std::string unit) {
  Figure result = figure;
  if (result.value) *result.value *= factor;
  result.unit = std::move(unit);
  return result;
}

core::Json to_json(const Figure& figure) {
  core::Json json;
  json["value"] = figure.value ? core::Json(*figure.value) : core::Json(nullptr);
  json["unit"] = figure.unit;
  json["tag"] = provenance_name(figure.provenance);
  json["source"] = figure.source;
  if (figure.year) json["year"] = *figure.year;
  if (!figure.note.empty()) json["note"] = figure.note;
  if (figure.lower_bound) json["bound"] = "lower";
  return json;
}

Figure figure_from_json(const core::Json& json) {
  try {
    Figure figure;
    if (!json.at("value").is_null()) figure.value = json.at("value").get<double>();
    figure.unit = json.at("unit").get<std::string>();
    figure.provenance = provenance_from_name(json.at("tag").get<std::string>());
    figure.source = json.at("source").get<std::string>();
    if (json.contains("year")) figure.year = json.at("year").get<int>();
    figure.note = json.value("note", "");
    figure.lower_bound = json.value("bound", "") == "lower";
    if (figure.known() == (figure.provenance == Provenance::kMissing)) {
      throw core::DataError("a figure's value is null exactly where its tag is missing; found " + core::to_line(json));
    }
    return figure;
  } catch (const core::Json::exception& error) {
    throw core::DataError("wanted a figure (docs/report_schema.json), found " + core::to_line(json) + ": " +
                          error.what());
  }
}

Figure difference(const Figure& first, const Figure& second) {
  TXTSUM_CHECK(first.unit == second.unit, "units '", first.unit, "' and '", second.unit, "'");
  if (!first.known()) return missing(first.unit, "the first is missing: " + first.note);
  if (!second.known()) return missing(first.unit, "the second is missing: " + second.note);
  if (first.lower_bound) return missing(first.unit, "the first is a lower bound: " + first.note);
  const bool both = first.provenance == Provenance::kMeasured && second.provenance == Provenance::kMeasured;
  Figure result{*second.value - *first.value,
                first.unit,
                both ? Provenance::kMeasured : Provenance::kModelled,
                first.source == second.source ? first.source : first.source + "; " + second.source,
                std::nullopt,
                "",
                second.lower_bound};
  if (first.year == second.year) result.year = first.year;
  if (first.note == second.note) {
    result.note = first.note;
  } else {
    result.note = "the first: " + (first.note.empty() ? "all of it" : first.note) +
                  "; the second: " + (second.note.empty() ? "all of it" : second.note);
  }
  return result;
}

}  // namespace txtsum::metrics
