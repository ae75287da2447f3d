#include "txtsum/metrics/report.h"

#include <algorithm>
#include <utility>

#include "metrics/report_doubts.h"
#include "metrics/report_phases.h"
#include "txtsum/core/build_info.h"
#include "txtsum/core/clock.h"
#include "txtsum/metrics/run_totals.h"

namespace txtsum::metrics {
namespace {

constexpr double kJoulesPerKwh = 3.6e6;

core::Json object_or_empty(const core::Json& json) { return json.is_null() ? core::Json::object() : json; }

core::Json factors_json(const CarbonIntensity& intensity) {
  core::Json factors = core::Json::array();
  for (const CarbonFactor& factor : intensity.factors) {
    core::Json json{{"grams_per_kwh", factor.grams_per_kwh}, {"table", factor.table}};
    json["year"] = factor.year ? core::Json(*factor.year) : core::Json(nullptr);
    json["source"] = factor.source;
    json["licence"] = factor.licence;
    json["method"] = factor.method;
    factors.push_back(std::move(json));
  }
  return factors;
}

core::Json carbon_json(const ReportInputs& inputs, const CarbonIntensity& intensity, const Figure& kwh) {
  const CarbonEstimate estimate = estimate_carbon(kwh, intensity);
  core::Json json;
  json["region"] = inputs.carbon.region;
  json["low_grams"] = to_json(estimate.low_grams);
  json["high_grams"] = to_json(estimate.high_grams);
  json["pue"] = to_json(intensity.pue);
  json["it_energy_kwh"] = to_json(kwh);
  json["facility_energy_kwh"] =
      to_json(intensity.pue.known() ? scaled(kwh, *intensity.pue.value, "kWh") : missing("kWh", intensity.pue.note));
  json["factors"] = factors_json(intensity);
  for (size_t i = 0; i < estimate.grams.size(); ++i) json["factors"][i]["grams"] = estimate.grams[i];
  return json;
}

core::Json cost_json(const ReportInputs& inputs, const Figure& price, const RunTotals& totals) {
  const double seconds = totals.whole.seconds;
  const Figure total = at_least(estimate_cost(seconds, price, inputs.cost.machine_count), totals.lower_bound);
  return {{"vm_size", inputs.cost.vm_size},   {"region", inputs.cost.region},
          {"priority", inputs.cost.priority}, {"machine_count", inputs.cost.machine_count},
          {"usd_per_hour", to_json(price)},   {"wall_seconds", seconds},
          {"total_usd", to_json(total)}};
}

core::Json repeated_json(const std::vector<AttemptRecord>& attempts, const RunTotals& totals, const Figure& total_kwh) {
  const RepeatedWork repeated = repeated_work(attempts);
  const std::string source = "share of the repeating attempts' train phase, by updates";
  Figure kwh = total_kwh;
  if (kwh.known()) {
    kwh = modelled(repeated.joules / kJoulesPerKwh, "kWh", source, std::nullopt, total_kwh.note);
    kwh.lower_bound = total_kwh.lower_bound;
  }
  return {{"updates", repeated.updates},
          {"seconds", to_json(at_least(modelled(repeated.seconds, "s", source), totals.lower_bound))},
          {"energy_kwh", to_json(kwh)}};
}

/// Limits of the figures that hold for every run.
core::Json outside_json() {
  return {"waiting in the queue, starting the machine and pulling the image: they end before the program starts",
          "idle time of the machine after the program, and between attempts",
          "embodied carbon of making the hardware",
          "network and storage: their energy, carbon and fees",
          "other jobs on the same machine: counters and /proc/stat see the whole machine, and it is all booked here",
          "the last seconds of a killed attempt: its record is written at saves and at least every 30 s"};
}

core::Json missing_json(const RunTotals& totals, const CarbonIntensity& intensity, const Figure& price,
                        const Figure& peak) {
  core::Json list = core::Json::array();
  for (int i = 0; i < kEnergyComponentCount; ++i) {
    const auto component = static_cast<EnergyComponent>(i);
    const Figure figure = component_energy_kwh(totals, totals.whole, component);
    const std::string name = "energy of " + std::string(energy_component_name(component));
    if (!figure.known()) list.push_back({{"what", name}, {"reason", figure.note}});
    for (const std::string& reason : totals.components[static_cast<size_t>(i)].missing) {
      if (figure.known()) list.push_back({{"what", "a part of the " + name}, {"reason", reason}});
    }
  }
  if (intensity.factors.empty()) list.push_back({{"what", "carbon"}, {"reason", intensity.problem}});
  if (!intensity.pue.known()) list.push_back({{"what", "PUE"}, {"reason", intensity.pue.note}});
  if (!price.known()) list.push_back({{"what", "cost"}, {"reason", price.note}});
  if (!peak.known()) list.push_back({{"what", "share of peak"}, {"reason", peak.note}});
  return list;
}

core::Json attempts_json(const std::vector<AttemptRecord>& attempts) {
  core::Json list = core::Json::array();
  for (const AttemptRecord& attempt : attempts) list.push_back(to_json(attempt));
  for (const CutShort& found : attempts_cut_short(attempts)) list[found.place]["bound"] = "lower";
  return list;
}

core::Json head_json(const ReportInputs& inputs) {
  return {{"schema_version", kReportSchemaVersion},
          {"program", "txtsum"},
          {"program_version", core::build_info().version},
          {"created_utc", core::format_utc(inputs.created_unix_seconds)},
          {"run_name", inputs.run_name},
          {"command", inputs.command},
          {"command_line", inputs.command_line},
          {"quality", object_or_empty(inputs.quality)}};
}

}  // namespace

core::Json make_report(const ReportInputs& inputs) {
  const std::vector<AttemptRecord>& attempts = inputs.attempts.attempts;
  const RunTotals totals = add_up(inputs.attempts);
  const PhaseFactors factors{find_carbon_intensity(inputs.carbon), find_price(inputs.cost), inputs.cost.machine_count,
                             find_device_peak(inputs.device_peak)};
  const Figure total_kwh = energy_kwh(totals, totals.whole);
  core::Json report = head_json(inputs);
  report["warnings"] = inputs.warnings.is_null() ? core::Json::array() : inputs.warnings;
  report["total"] = phase_to_json(totals, totals.whole, factors);
  for (int i = 0; i < kPhaseCount; ++i) {
    report["phases"][std::string(phase_name(static_cast<Phase>(i)))] =
        phase_to_json(totals, totals.phases[static_cast<size_t>(i)], factors);
  }
  report["carbon"] = carbon_json(inputs, factors.carbon, total_kwh);
  report["cost"] = cost_json(inputs, factors.usd_per_hour, totals);
  report["device_peak"] = to_json(factors.peak_tflops);
  report["missing"] = missing_json(totals, factors.carbon, factors.usd_per_hour, factors.peak_tflops);
  report["doubts"] = doubts_json(inputs.attempts);
  report["idle_watts"] = idle_watts_json(totals, attempts);
  report["outside"] = outside_json();
  report["work_done_twice"] = repeated_json(attempts, totals, total_kwh);
  report["attempts"] = attempts_json(attempts);
  report["unreadable_attempts"] = inputs.attempts.unreadable;
  report["freezing"] = object_or_empty(inputs.freezing);
  report["gpu_work"] = object_or_empty(inputs.gpu_work);
  report["rank_work"] = object_or_empty(inputs.rank_work);
  report["data"] = object_or_empty(inputs.data);
  report["environment"] = object_or_empty(inputs.environment);
  report["config"] = object_or_empty(inputs.config);
  return report;
}

}  // namespace txtsum::metrics
