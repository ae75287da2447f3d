#include "metrics/modelled_meter.h"

#include <cstdio>
#include <memory>
#include <utility>

#include "txtsum/metrics/host_sampler.h"

namespace txtsum::metrics {
namespace {

constexpr double kBytesPerGib = 1024.0 * 1024.0 * 1024.0;

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

}  // namespace

PowerModelMeter::PowerModelMeter(EnergyComponent component, double watts, std::string source, std::string note,
                                 Share share, const core::Clock& clock)
    : component_(component),
      watts_(watts),
      source_(std::move(source)),
      note_(std::move(note)),
      share_(std::move(share)),
      clock_(clock),
      last_seconds_(clock.monotonic_seconds()) {}

MeterInfo PowerModelMeter::info() const { return {component_, Provenance::kModelled, source_, note_}; }

double PowerModelMeter::read_joules() {
  const std::optional<double> share = share_ ? share_() : 1.0;
  // An unknown share (two reads within one tick of the kernel) leaves the window open for the next read.
  if (!share) return joules_;
  const double now = clock_.monotonic_seconds();
  joules_ += watts_ * *share * (now - last_seconds_);
  last_seconds_ = now;
  return joules_;
}

void add_cpu_model(MeterSet& set, const EnergyOptions& options, const std::string& reason, const core::Clock& clock) {
  auto utilisation = std::make_shared<CpuUtilisation>(options.proc_root);
  const bool readable = utilisation->readable();
  if (!options.cpu_tdp_watts || !readable) {
    const std::string problem = readable ? reason : reason + "; " + options.proc_root + "/stat is not readable either";
    set.missing.push_back({EnergyComponent::kCpu, problem + ". Set resources.cpu_tdp_watts to model it."});
    return;
  }
  const std::string source =
      "resources.cpu_tdp_watts = " + short_number(*options.cpu_tdp_watts) + " W x CPU utilisation of the machine";
  set.meters.push_back(std::make_unique<PowerModelMeter>(
      EnergyComponent::kCpu, *options.cpu_tdp_watts, source, reason, [utilisation] { return utilisation->sample(); },
      clock));
}

void add_ram_model(MeterSet& set, const EnergyOptions& options, const std::string& reason, const core::Clock& clock) {
  const auto bytes = machine_memory_bytes(options.proc_root);
  if (!options.ram_watts_per_gib || !bytes) {
    const std::string problem = bytes ? reason : reason + "; " + options.proc_root + "/meminfo is not readable either";
    set.missing.push_back({EnergyComponent::kRam, problem + ". Set resources.ram_watts_per_gib to model it."});
    return;
  }
  const double gib = static_cast<double>(*bytes) / kBytesPerGib;
  const std::string source = "resources.ram_watts_per_gib = " + short_number(*options.ram_watts_per_gib) + " W x " +
                             short_number(gib) + " GiB installed";
  set.meters.push_back(std::make_unique<PowerModelMeter>(EnergyComponent::kRam, *options.ram_watts_per_gib * gib,
                                                         source, reason, PowerModelMeter::Share(), clock));
}

void add_constant_meter(MeterSet& set, const EnergyOptions& options, const core::Clock& clock) {
  if (!options.constant_watts) return;
  const std::string source = "resources.constant_watts = " + short_number(*options.constant_watts) + " W";
  set.meters.push_back(std::make_unique<PowerModelMeter>(EnergyComponent::kOther, *options.constant_watts, source, "",
                                                         PowerModelMeter::Share(), clock));
}

}  // namespace txtsum::metrics
