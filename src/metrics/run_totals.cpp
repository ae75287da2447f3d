#include "txtsum/metrics/run_totals.h"

#include <algorithm>

namespace txtsum::metrics {
namespace {

constexpr double kJoulesPerKwh = 3.6e6;
const char* const kUnit = "kWh";

template <typename Value>
void raise_to(std::optional<Value>& peak, const std::optional<Value>& value) {
  if (value) peak = std::max(peak.value_or(*value), *value);
}

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& item : list) text += (text.empty() ? "" : "; ") + item;
  return text;
}

void add_phase(const AttemptRecord& attempt, const PhaseRecord& phase, PhaseTotals& sum) {
  sum.seconds += phase.seconds;
  sum.device_seconds += phase.device_seconds;
  for (size_t i = 0; i < attempt.meters.size(); ++i) {
    ComponentJoules& joules = sum.joules[static_cast<size_t>(attempt.meters[i].component)];
    const bool counted = attempt.meters[i].provenance == Provenance::kMeasured;
    (counted ? joules.measured : joules.modelled) += phase.joules[i];
  }
  raise_to(sum.peak_watts, phase.peak_watts);
  sum.cpu_busy_seconds += phase.cpu_busy_seconds;
  sum.cpu_observed_seconds += phase.cpu_observed_seconds;
  sum.process_cpu_seconds += phase.process_cpu_seconds;
  sum.device_busy_seconds += phase.device_busy_seconds;
  sum.device_observed_seconds += phase.device_observed_seconds;
  raise_to(sum.peak_device_memory_bytes, phase.peak_device_memory_bytes);
  raise_to(sum.peak_host_rss_bytes, phase.peak_host_rss_bytes);
  sum.work += phase.work;
}

void add_sources(const AttemptRecord& attempt, std::array<ComponentSource, kEnergyComponentCount>& components) {
  for (const MeterInfo& meter : attempt.meters) {
    ComponentSource& component = components[static_cast<size_t>(meter.component)];
    (meter.provenance == Provenance::kMeasured ? component.measured : component.modelled) = true;
    add_once(component.sources, meter.source);
    add_once(component.notes, meter.note);
  }
  for (const MissingMeter& item : attempt.missing) {
    add_once(components[static_cast<size_t>(item.component)].missing, item.reason);
  }
}

std::string why_lower_bound(const AttemptFiles& files) {
  std::vector<std::string> cut_short, reasons;
  for (const CutShort& found : attempts_cut_short(files.attempts)) {
    cut_short.push_back("attempt " + std::to_string(files.attempts[found.place].attempt) + " (" + found.why + ")");
  }
  if (!cut_short.empty()) reasons.push_back("counted up to its last write: " + joined(cut_short));
  if (!files.unreadable.empty()) {
    reasons.push_back("records that cannot be read and are left out: " + std::to_string(files.unreadable.size()));
  }
  return joined(reasons);
}

}  // namespace

RunTotals add_up(const AttemptFiles& files) {
  RunTotals totals;
  totals.lower_bound = why_lower_bound(files);
  for (const AttemptRecord& attempt : files.attempts) {
    for (size_t i = 0; i < attempt.phases.size(); ++i) {
      add_phase(attempt, attempt.phases[i], totals.phases[i]);
      add_phase(attempt, attempt.phases[i], totals.whole);
    }
    raise_to(totals.whole.peak_host_rss_bytes, attempt.peak_host_rss_bytes);
    add_sources(attempt, totals.components);
    ComponentSource& gpu = totals.components[static_cast<size_t>(EnergyComponent::kGpu)];
    for (const std::string& doubt : sharing_doubts(attempt.sharing)) add_once(gpu.notes, doubt);
  }
  return totals;
}

Figure component_energy_kwh(const RunTotals& totals, const PhaseTotals& phase, EnergyComponent component) {
  const ComponentSource& source = totals.components[static_cast<size_t>(component)];
  const ComponentJoules& joules = phase.joules[static_cast<size_t>(component)];
  const double kwh = (joules.measured + joules.modelled) / kJoulesPerKwh;
  if (!source.measured && !source.modelled) {
    if (!source.missing.empty()) return missing(kUnit, joined(source.missing));
    if (component == EnergyComponent::kGpu) return measured(0.0, kUnit, "no GPU is in use");
    if (component == EnergyComponent::kOther) {
      return missing(kUnit, "the rest of the machine (fans, disks, boards) has no meter: set resources.constant_watts");
    }
    return missing(kUnit, "no attempt has a record of it");
  }
  std::string note = joined(source.notes);
  if (source.measured && source.modelled) note += (note.empty() ? "" : "; ") + std::string("partly measured");
  if (!source.missing.empty()) note += (note.empty() ? "" : "; ") + ("not covered: " + joined(source.missing));
  return at_least(source.modelled ? modelled(kwh, kUnit, joined(source.sources), std::nullopt, note)
                                  : measured(kwh, kUnit, joined(source.sources), note),
                  totals.lower_bound);
}

Figure energy_kwh(const RunTotals& totals, const PhaseTotals& phase) {
  double kwh = 0;
  bool any_modelled = false;
  std::vector<std::string> known;
  std::vector<std::string> unknown;
  for (int i = 0; i < kEnergyComponentCount; ++i) {
    const auto component = static_cast<EnergyComponent>(i);
    const ComponentSource& source = totals.components[static_cast<size_t>(i)];
    const std::string name(energy_component_name(component));
    if (source.measured || source.modelled) {
      kwh += *component_energy_kwh(totals, phase, component).value;
      any_modelled = any_modelled || source.modelled;
      known.push_back(name);
      if (!source.missing.empty()) unknown.push_back("a part of " + name);
    } else if (component != EnergyComponent::kGpu || !source.missing.empty()) {
      unknown.push_back(name);
    }
  }
  if (known.empty())
    return missing(kUnit, "no component of the machine has a meter; see each component for the way out");
  const std::string source = "sum of: " + joined(known);
  const std::string note = unknown.empty() ? "" : "without: " + joined(unknown);
  return at_least(any_modelled ? modelled(kwh, kUnit, source, std::nullopt, note) : measured(kwh, kUnit, source, note),
                  totals.lower_bound);
}

Footprint footprint_of(const AttemptFiles& files, const CarbonIntensity& intensity, const Figure& usd_per_hour,
                       int machine_count) {
  const RunTotals totals = add_up(files);
  Footprint footprint;
  footprint.seconds = totals.whole.seconds;
  footprint.energy_kwh = energy_kwh(totals, totals.whole);
  footprint.carbon = estimate_carbon(footprint.energy_kwh, intensity);
  footprint.cost_usd = at_least(estimate_cost(footprint.seconds, usd_per_hour, machine_count), totals.lower_bound);
  footprint.lower_bound = !totals.lower_bound.empty();
  return footprint;
}

}  // namespace txtsum::metrics
