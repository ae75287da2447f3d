#pragma once

#include <array>
#include <string>
#include <vector>

#include "txtsum/metrics/attempt_record.h"
#include "txtsum/metrics/carbon.h"
#include "txtsum/metrics/cost.h"
#include "txtsum/metrics/figure.h"

namespace txtsum::metrics {

/// Joules of one component by origin.
struct ComponentJoules {
  double measured = 0;
  double modelled = 0;
};

/// One phase, or all of them, over every attempt.
struct PhaseTotals {
  double seconds = 0;
  double device_seconds = 0;
  std::array<ComponentJoules, kEnergyComponentCount> joules;
  std::optional<double> peak_watts;
  double cpu_busy_seconds = 0;
  double cpu_observed_seconds = 0;
  double process_cpu_seconds = 0;
  double device_busy_seconds = 0;
  double device_observed_seconds = 0;
  std::optional<int64_t> peak_device_memory_bytes;
  std::optional<int64_t> peak_host_rss_bytes;
  Work work;
};

/// What covers one component of energy.
struct ComponentSource {
  bool measured = false;             ///< Some meter of it is a counter or a sampled sensor.
  bool modelled = false;             ///< Some meter of it is a model.
  std::vector<std::string> sources;  ///< Each meter once.
  std::vector<std::string> notes;
  std::vector<std::string> missing;  ///< Reasons of devices or attempts that no meter covers.
};

/// Sum over the attempts of a run.
struct RunTotals {
  std::string lower_bound;  ///< Why the sums are lower bounds; empty where they are not.
  std::array<PhaseTotals, kPhaseCount> phases;
  PhaseTotals whole;
  std::array<ComponentSource, kEnergyComponentCount> components;
};

/// An attempt whose record is not of its end (attempts_cut_short), or whose record cannot be read, makes the sums
/// lower bounds.
RunTotals add_up(const AttemptFiles& files);

/// Energy of one component in kWh. Modelled where any part of it is; missing where no meter covers it.
Figure component_energy_kwh(const RunTotals& totals, const PhaseTotals& phase, EnergyComponent component);

/// Sum of the components that are known; the note names those that are not.
Figure energy_kwh(const RunTotals& totals, const PhaseTotals& phase);

/// The three numbers of a run that a tracking server or a progress line shows.
struct Footprint {
  double seconds = 0;
  Figure energy_kwh;
  CarbonEstimate carbon;
  Figure cost_usd;
  bool lower_bound = false;  ///< Of the seconds; the figures say it of themselves.
};
Footprint footprint_of(const AttemptFiles& files, const CarbonIntensity& intensity, const Figure& usd_per_hour,
                       int machine_count);

}  // namespace txtsum::metrics
