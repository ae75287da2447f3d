#include "txtsum/metrics/figure.h"

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

}  // namespace txtsum::metrics
