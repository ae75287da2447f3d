#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;

enum class Priority { kDedicated, kLowPriority };
inline std::vector<std::string_view> choice_names(Priority) { return {"dedicated", "low_priority"}; }

/// Section `resources`: facts about the machine that energy, carbon and cost need. What is unset and not in a table is
/// reported as missing.
struct ResourcesConfig {
  std::optional<std::string> region;    ///< Azure region as in configs/carbon, e.g. westus2.
  std::optional<double> grams_per_kwh;  ///< Carbon intensity; overrides the region's.
  std::optional<double> pue;            ///< Power usage effectiveness; overrides the region's.
  std::optional<std::string> vm_size;   ///< Azure VM size as in configs/prices, e.g. Standard_NC24ads_A100_v4.
  std::optional<double> usd_per_hour;   ///< Price of the whole VM; overrides the table's.
  Priority priority = Priority::kDedicated;
  std::optional<double> cpu_tdp_watts;            ///< Per machine; models CPU energy where no counter is readable.
  std::optional<double> gpu_tdp_watts;            ///< Per GPU; models GPU energy where no counter is readable.
  std::optional<double> ram_watts_per_gib;        ///< Models memory's energy where no counter is readable.
  std::optional<double> constant_watts;           ///< What the rest of the machine draws, added as modelled.
  double sampling_seconds = 1.0;                  ///< Period of the meters.
  std::string rapl_root = "/sys/class/powercap";  ///< Where the CPU's energy counters are.
  std::optional<double> host_gb_per_second;       ///< Of the host's memory in AdamW; plans offloaded updates.
  std::optional<double> peak_tflops;              ///< Peak of the device used, for the share of peak; unset: missing.

  void describe(FieldVisitor& visitor);
};

}  // namespace txtsum::config
