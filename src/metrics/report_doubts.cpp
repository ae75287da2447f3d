#include "metrics/report_doubts.h"

#include <cstdio>

#include "txtsum/core/clock.h"

namespace txtsum::metrics {
namespace {

std::string attempt_name(const AttemptRecord& attempt) { return "attempt " + std::to_string(attempt.attempt); }

/// By the wall clock, which may have been set meanwhile.
std::string gap_text(const AttemptRecord& ended, const AttemptRecord& next) {
  const double seconds = next.start_unix_seconds - ended.end_unix_seconds;
  if (seconds < 0) return "";
  char text[64];
  std::snprintf(text, sizeof(text), ", %.1f s before the next one", seconds);
  return text;
}

Figure idle_watts(const ComponentSource& source, EnergyComponent component,
                  const std::vector<AttemptRecord>& attempts) {
  for (auto attempt = attempts.rbegin(); attempt != attempts.rend(); ++attempt) {
    for (const IdlePower& idle : attempt->idle) {
      if (idle.component == component) {
        return measured(idle.watts, "W", idle.source, "mean before the work of " + attempt_name(*attempt));
      }
    }
  }
  if (source.measured) return missing("W", "no attempt has read it");
  if (source.modelled) return missing("W", "a model knows no idle draw");
  if (!source.missing.empty()) return missing("W", source.missing.front());
  return missing("W", component == EnergyComponent::kGpu ? "no GPU is in use" : "no meter covers it");
}

}  // namespace

core::Json doubts_json(const AttemptFiles& files) {
  core::Json list = core::Json::array();
  for (const CutShort& found : attempts_cut_short(files.attempts)) {
    const AttemptRecord& attempt = files.attempts[found.place];
    const bool is_last = found.place + 1 == files.attempts.size();
    list.push_back(
        {{"what", attempt_name(attempt) + ": seconds, energy, carbon, cost and work are lower bounds"},
         {"reason", std::string("it was ").append(found.why).append(": it counts up to its last write, at ") +
                        core::format_utc(attempt.end_unix_seconds) +
                        (is_last ? "" : gap_text(attempt, files.attempts[found.place + 1]))}});
  }
  for (const std::string& problem : files.unreadable) {
    list.push_back({{"what", "an attempt is left out: all sums are lower bounds"}, {"reason", problem}});
  }
  for (const AttemptRecord& attempt : files.attempts) {
    for (const std::string& reason : sharing_doubts(attempt.sharing)) {
      list.push_back(
          {{"what", attempt_name(attempt) + ": energy, utilisation and speed of a GPU"}, {"reason", reason}});
    }
  }
  return list;
}

core::Json idle_watts_json(const RunTotals& totals, const std::vector<AttemptRecord>& attempts) {
  core::Json json;
  for (const EnergyComponent component : {EnergyComponent::kGpu, EnergyComponent::kCpu, EnergyComponent::kRam}) {
    json[std::string(energy_component_name(component))] =
        to_json(idle_watts(totals.components[static_cast<size_t>(component)], component, attempts));
  }
  return json;
}

}  // namespace txtsum::metrics
