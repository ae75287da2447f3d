#include "txtsum/metrics/idle_power.h"

#include <algorithm>

namespace txtsum::metrics {
namespace {

/// Adds a reading to that of the same component.
void add(std::vector<IdlePower>& idle, const IdlePower& more) {
  const auto same =
      std::find_if(idle.begin(), idle.end(), [&](const IdlePower& power) { return power.component == more.component; });
  if (same == idle.end()) {
    idle.push_back(more);
  } else {
    same->watts += more.watts;
    same->source += "; " + more.source;
  }
}

}  // namespace

std::vector<IdlePower> read_idle_power(const MeterSet& meters, const core::Clock& clock,
                                       const std::function<void(double seconds)>& wait) {
  std::vector<EnergyMeter*> measuring;
  for (const auto& meter : meters.meters) {
    if (meter->info().provenance == Provenance::kMeasured) measuring.push_back(meter.get());
  }
  std::vector<IdlePower> idle;
  if (measuring.empty()) return idle;
  std::vector<double> before;
  for (EnergyMeter* meter : measuring) before.push_back(meter->read_joules());
  const double begin = clock.monotonic_seconds();
  wait(kIdleSeconds);
  const double seconds = clock.monotonic_seconds() - begin;
  if (seconds <= 0) return idle;
  for (size_t i = 0; i < measuring.size(); ++i) {
    const double watts = (measuring[i]->read_joules() - before[i]) / seconds;
    const MeterInfo info = measuring[i]->info();
    add(idle, {info.component, watts, seconds, info.source});
  }
  return idle;
}

std::vector<IdlePower> idle_of_machine(std::vector<IdlePower> own, const std::vector<std::optional<IdlePower>>& gpus) {
  std::erase_if(own, [](const IdlePower& power) { return power.component == EnergyComponent::kGpu; });
  for (const std::optional<IdlePower>& gpu : gpus) {
    if (!gpu) return own;
  }
  for (const std::optional<IdlePower>& gpu : gpus) add(own, *gpu);
  return own;
}

}  // namespace txtsum::metrics
