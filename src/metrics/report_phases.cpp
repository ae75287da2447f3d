#include "metrics/report_phases.h"

#include <utility>

namespace txtsum::metrics {
namespace {

constexpr double kSecondsPerHour = 3600.0;
constexpr double kWattsPerKw = 1000.0;
constexpr double kJoulesPerKwh = 3.6e6;

core::Json energy_json(const RunTotals& totals, const PhaseTotals& phase) {
  core::Json json;
  for (int i = 0; i < kEnergyComponentCount; ++i) {
    const auto component = static_cast<EnergyComponent>(i);
    json[std::string(energy_component_name(component))] = to_json(component_energy_kwh(totals, phase, component));
  }
  double counted = 0;
  double computed = 0;
  for (const ComponentJoules& joules : phase.joules) {
    counted += joules.measured / kJoulesPerKwh;
    computed += joules.modelled / kJoulesPerKwh;
  }
  json["total"] = to_json(energy_kwh(totals, phase));
  json["by_tag"] = {{"measured", counted}, {"modelled", computed}};
  return json;
}

/// A quotient of two sums: where both lack the same end of an attempt, it is no bound.
Figure quotient(const Figure& sum, double factor, std::string unit) {
  Figure result = scaled(sum, factor, std::move(unit));
  result.lower_bound = false;
  return result;
}

Figure mean_watts(const Figure& kwh, double seconds) {
  if (seconds <= 0) return missing("W", "the phase took no time");
  return quotient(kwh, kWattsPerKw * kSecondsPerHour / seconds, "W");
}

Figure peak_watts(const PhaseTotals& phase, const Figure& kwh) {
  if (!kwh.known()) return missing("W", kwh.note);
  if (!phase.peak_watts) return missing("W", "the phase was shorter than one power window (0.2 s)");
  std::string note("highest mean over one sampling period");
  if (!kwh.note.empty()) note.append("; ").append(kwh.note);
  return {phase.peak_watts, "W", kwh.provenance, kwh.source, kwh.year, note, kwh.lower_bound};
}

Figure share(double busy, double observed, const std::string& source, const std::string& reason) {
  if (observed <= 0) return missing("share", reason);
  return measured(busy / observed, "share", source);
}

Figure bytes(const std::optional<int64_t>& value, const std::string& source, const std::string& reason) {
  return value ? measured(static_cast<double>(*value), "bytes", source) : missing("bytes", reason);
}

constexpr const char* kNoProducts = "no matrix products are booked to this phase";

Figure flops_figure(const Work& work) {
  if (work.flops <= 0) return missing("FLOP", kNoProducts);
  return modelled(work.flops, "FLOP", "formula in docs/metrics.md");
}

Figure share_of_peak(const PhaseTotals& phase, const Figure& peak_tflops) {
  if (phase.work.flops <= 0) return missing("share", kNoProducts);
  if (!peak_tflops.known()) return missing("share", peak_tflops.note);
  if (phase.device_seconds <= 0) return missing("share", "the phase took no time");
  return modelled(phase.work.flops / (phase.device_seconds * *peak_tflops.value * 1e12), "share", peak_tflops.source,
                  peak_tflops.year);
}

core::Json work_json(const Work& work) {
  return {{"examples", work.examples},
          {"source_tokens", work.source_tokens},
          {"target_tokens", work.target_tokens},
          {"updates", work.updates},
          {"summaries", work.summaries}};
}

struct Bill {
  Figure kwh;
  CarbonEstimate carbon;
  Figure usd;
};

core::Json per_unit_json(const PhaseTotals& phase, const Bill& bill, int64_t count, double batch) {
  if (count <= 0) return nullptr;
  const double factor = batch / static_cast<double>(count);
  return {{"seconds", phase.seconds * factor},
          {"energy_wh", to_json(quotient(bill.kwh, 1000.0 * factor, "Wh"))},
          {"carbon_grams_low", to_json(quotient(bill.carbon.low_grams, factor, "g CO2e"))},
          {"carbon_grams_high", to_json(quotient(bill.carbon.high_grams, factor, "g CO2e"))},
          {"cost_usd", to_json(quotient(bill.usd, factor, "USD"))}};
}

core::Json rates_json(const PhaseTotals& phase) {
  if (phase.seconds <= 0) return nullptr;
  const Work& work = phase.work;
  const auto per_second = [&](int64_t count) { return static_cast<double>(count) / phase.seconds; };
  return {{"examples_per_second", per_second(work.examples)},
          {"source_tokens_per_second", per_second(work.source_tokens)},
          {"target_tokens_per_second", per_second(work.target_tokens)},
          {"updates_per_second", per_second(work.updates)},
          {"summaries_per_second", per_second(work.summaries)},
          {"flops_per_second", work.flops / phase.seconds}};
}

}  // namespace

core::Json phase_to_json(const RunTotals& totals, const PhaseTotals& phase, const PhaseFactors& factors) {
  Bill bill;
  bill.kwh = energy_kwh(totals, phase);
  bill.carbon = estimate_carbon(bill.kwh, factors.carbon);
  bill.usd = at_least(estimate_cost(phase.seconds, factors.usd_per_hour, factors.machine_count), totals.lower_bound);
  core::Json json;
  json["seconds"] = phase.seconds;
  if (!totals.lower_bound.empty()) json["bound"] = "lower";
  json["device_hours"] = phase.device_seconds / kSecondsPerHour;
  json["energy_kwh"] = energy_json(totals, phase);
  json["mean_watts"] = to_json(mean_watts(bill.kwh, phase.seconds));
  json["peak_watts"] = to_json(peak_watts(phase, bill.kwh));
  json["carbon_grams_low"] = to_json(bill.carbon.low_grams);
  json["carbon_grams_high"] = to_json(bill.carbon.high_grams);
  json["cost_usd"] = to_json(bill.usd);
  json["cpu_utilisation"] = to_json(share(phase.cpu_busy_seconds, phase.cpu_observed_seconds, "/proc/stat",
                                          "/proc/stat gave no reading in this phase"));
  json["process_cpu_seconds"] = phase.process_cpu_seconds;
  json["device_utilisation"] =
      to_json(share(phase.device_busy_seconds, phase.device_observed_seconds, "NVML utilisation, mean over the devices",
                    "no device reports utilisation"));
  json["peak_device_memory_bytes"] = to_json(
      bytes(phase.peak_device_memory_bytes, "allocator, largest device", "no device allocator reports its peak"));
  json["peak_host_rss_bytes"] =
      to_json(bytes(phase.peak_host_rss_bytes, "/proc/self/status", "/proc/self/status gave no reading in this phase"));
  json["work"] = work_json(phase.work);
  json["rates"] = rates_json(phase);
  json["flops"] = to_json(flops_figure(phase.work));
  json["share_of_peak"] = to_json(share_of_peak(phase, factors.peak_tflops));
  json["per_example"] = per_unit_json(phase, bill, phase.work.examples, 1.0);
  json["per_1000_summaries"] = per_unit_json(phase, bill, phase.work.summaries, 1000.0);
  return json;
}

}  // namespace txtsum::metrics
