#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txtsum::metrics {

/// A GPU that the sheets of configs/devices know well enough to plan for it.
struct DeviceCard {
  std::string name;             ///< Short: `H100`, `A100-80GB`.
  std::string driver_name;      ///< How the name that the driver gives begins; for find_device_peak.
  int64_t memory_bytes = 0;     ///< Of the product, in powers of ten; a driver shows about as much in powers of two.
  double bytes_per_second = 0;  ///< Of its memory.
  double tdp_watts = 0;
  std::string source;  ///< The sheet.
  int year = 0;
};

/// The card called `name`, in letters of any case, or whose driver calls it so; none where no sheet knows it.
std::optional<DeviceCard> find_card(const std::string& name, const std::string& sheet_path = "");

/// Short names of all cards, sorted.
std::vector<std::string> known_cards(const std::string& sheet_path = "");

}  // namespace txtsum::metrics
