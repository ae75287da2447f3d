#include "txtsum/metrics/device_card.h"

#include <algorithm>
#include <cctype>

#include "metrics/data_sheets.h"

namespace txtsum::metrics {
namespace {

constexpr double kGiga = 1e9;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

template <typename Visit>
void for_cards(const std::string& sheet_path, const Visit& visit) {
  for (const DataSheet& sheet : data_sheets("devices", sheet_path)) {
    parse_sheet(sheet, [&](const core::Json& json) {
      for (const core::Json& row : json.at("rows")) {
        if (!row.contains("card")) continue;
        DeviceCard card;
        card.name = row.at("card").get<std::string>();
        card.driver_name = row.at("name_prefix").get<std::string>();
        card.memory_bytes = static_cast<int64_t>(row.at("memory_gb").get<double>() * kGiga);
        card.bytes_per_second = row.at("gb_per_s").get<double>() * kGiga;
        card.tdp_watts = row.at("tdp_watts").get<double>();
        card.source = json.at("name").get<std::string>() + ": " + row.at("product").get<std::string>();
        card.year = json.at("year").get<int>();
        visit(card);
      }
    });
  }
}

}  // namespace

std::optional<DeviceCard> find_card(const std::string& name, const std::string& sheet_path) {
  std::optional<DeviceCard> found;
  for_cards(sheet_path, [&](const DeviceCard& card) {
    if (lower(card.name) == lower(name)) found = card;
  });
  if (found) return found;
  for_cards(sheet_path, [&](const DeviceCard& card) {
    const bool longer = !found || card.driver_name.size() > found->driver_name.size();
    if (name.starts_with(card.driver_name) && longer) found = card;
  });
  return found;
}

std::vector<std::string> known_cards(const std::string& sheet_path) {
  std::vector<std::string> names;
  for_cards(sheet_path, [&](const DeviceCard& card) { names.push_back(card.name); });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace txtsum::metrics
