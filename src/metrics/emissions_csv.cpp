#include "txtsum/metrics/emissions_csv.h"

#include <cstdio>
#include <filesystem>
#include <map>
#include <system_error>

#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"
#include "txtsum/metrics/run_totals.h"

namespace txtsum::metrics {
namespace {

constexpr double kGramsPerKg = 1000.0;
constexpr double kJoulesPerKwh = 3.6e6;

std::string number_cell(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.12g", value);
  return text;
}

std::string text_cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted(1, '"');
  for (const char c : text) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  quoted += '"';
  return quoted;
}

std::string joined_by_comma(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    line += cells[i];
  }
  return line;
}

/// One record of a CSV file: its cells without quotes, and its text as it stood.
struct CsvRecord {
  std::vector<std::string> cells;
  std::string text;
};

std::vector<CsvRecord> parse_csv(const std::string& text) {
  std::vector<CsvRecord> records;
  CsvRecord record;
  std::string cell;
  bool quoted = false;
  for (const char c : text) {
    if (c == '\n' && !quoted) {
      record.cells.push_back(std::move(cell));
      records.push_back(std::move(record));
      record = {};
      cell.clear();
      continue;
    }
    record.text += c;
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      record.cells.push_back(std::move(cell));
      cell.clear();
    } else if (c != '\r') {
      cell += c;
    }
  }
  // A last line without its end is a record too, unless it is empty.
  if (!record.text.empty()) {
    record.cells.push_back(std::move(cell));
    records.push_back(std::move(record));
  }
  return records;
}

std::string energy_cell(const RunTotals& totals, EnergyComponent component, double factor) {
  const Figure kwh = component_energy_kwh(totals, totals.whole, component);
  return kwh.known() ? number_cell(*kwh.value * factor) : "";
}

void add_energy(std::map<std::string, std::string>& row, const RunTotals& totals, double pue) {
  const double hours = totals.whole.seconds / 3600.0;
  const std::pair<const char*, EnergyComponent> components[] = {
      {"cpu", EnergyComponent::kCpu}, {"gpu", EnergyComponent::kGpu}, {"ram", EnergyComponent::kRam}};
  for (const auto& [name, component] : components) {
    row[std::string(name) + "_energy"] = energy_cell(totals, component, pue);
    if (hours > 0) row[std::string(name) + "_power"] = energy_cell(totals, component, pue * 1000.0 / hours);
  }
  const Figure total = energy_kwh(totals, totals.whole);
  if (total.known()) row["energy_consumed"] = number_cell(*total.value * pue);
}

void add_utilisation(std::map<std::string, std::string>& row, const PhaseTotals& whole) {
  if (whole.cpu_observed_seconds > 0) {
    row["cpu_utilization_percent"] = number_cell(100.0 * whole.cpu_busy_seconds / whole.cpu_observed_seconds);
  }
  if (whole.device_observed_seconds > 0) {
    row["gpu_utilization_percent"] = number_cell(100.0 * whole.device_busy_seconds / whole.device_observed_seconds);
  }
}

void add_facts(std::map<std::string, std::string>& row, const EmissionsFacts& facts) {
  row["project_name"] = facts.project_name;
  row["experiment_id"] = facts.experiment_id;
  const bool on_cloud = !facts.cloud_region.empty();
  row["cloud_provider"] = std::string(on_cloud ? "azure" : "");
  row["cloud_region"] = facts.cloud_region;
  row["on_cloud"] = std::string(1, on_cloud ? 'Y' : 'N');
  row["os"] = facts.os;
  row["cpu_count"] = std::to_string(facts.cpu_count);
  row["cpu_model"] = facts.cpu_model;
  row["gpu_count"] = std::to_string(facts.gpu_count);
  row["gpu_model"] = facts.gpu_model;
  row["ram_total_size"] = number_cell(facts.ram_total_gb);
  row["tracking_mode"] = std::string("machine");
}

std::string row_run_id(const EmissionsFacts& facts, int attempt) {
  char number[16];
  std::snprintf(number, sizeof(number), "%04d", attempt);
  return facts.run_id + "-attempt-" + number;
}

std::string attempt_row(const AttemptRecord& attempt, const CarbonIntensity& intensity, const EmissionsFacts& facts) {
  const RunTotals totals = add_up({{attempt}, {}});
  std::map<std::string, std::string> row;
  add_facts(row, facts);
  row["run_id"] = row_run_id(facts, attempt.attempt);
  std::string timestamp = core::format_utc(attempt.end_unix_seconds);
  if (!timestamp.empty() && timestamp.back() == 'Z') timestamp.pop_back();
  row["timestamp"] = timestamp;
  row["duration"] = number_cell(totals.whole.seconds);
  if (intensity.pue.known()) row["pue"] = number_cell(*intensity.pue.value);
  add_energy(row, totals, intensity.pue.value.value_or(1.0));
  add_utilisation(row, totals.whole);
  const CarbonEstimate carbon = estimate_carbon(energy_kwh(totals, totals.whole), intensity);
  if (carbon.high_grams.known()) {
    const double kg = *carbon.high_grams.value / kGramsPerKg;
    row["emissions"] = number_cell(kg);
    if (totals.whole.seconds > 0) row["emissions_rate"] = number_cell(kg / totals.whole.seconds);
  }
  std::vector<std::string> cells;
  for (const std::string& column : emissions_columns()) cells.push_back(text_cell(row[column]));
  return joined_by_comma(cells);
}

/// The lines of other runs in the file at `path`; moves a file of other columns away.
std::vector<std::string> other_runs(const std::string& path, const EmissionsFacts& facts) {
  if (!std::filesystem::exists(path)) return {};
  const std::vector<CsvRecord> records = parse_csv(core::read_file(path));
  if (records.empty()) return {};
  if (records.front().cells != emissions_columns()) {
    std::error_code error;
    std::filesystem::rename(path, path + ".bak", error);
    if (error) throw core::DataError(path + " has other columns and cannot be moved away: " + error.message());
    core::log_warning(path + " had other columns; it is now " + path + ".bak");
    return {};
  }
  constexpr size_t kRunIdColumn = 2;
  std::vector<std::string> lines;
  for (size_t i = 1; i < records.size(); ++i) {
    const std::vector<std::string>& cells = records[i].cells;
    const bool ours = cells.size() > kRunIdColumn && cells[kRunIdColumn].rfind(facts.run_id + "-attempt-", 0) == 0;
    if (!ours && !records[i].text.empty()) lines.push_back(records[i].text);
  }
  return lines;
}

}  // namespace

const std::vector<std::string>& emissions_columns() {
  // clang-format off
  static const std::vector<std::string> columns = {
      "timestamp",      "project_name",   "run_id",        "experiment_id",
      "duration",       "emissions",      "emissions_rate", "cpu_power",
      "gpu_power",      "ram_power",      "cpu_energy",    "gpu_energy",
      "ram_energy",     "energy_consumed", "water_consumed", "country_name",
      "country_iso_code", "region",       "cloud_provider", "cloud_region",
      "os",             "python_version", "codecarbon_version", "cpu_count",
      "cpu_model",      "gpu_count",      "gpu_model",     "longitude",
      "latitude",       "ram_total_size", "tracking_mode", "cpu_utilization_percent",
      "gpu_utilization_percent", "ram_utilization_percent", "ram_used_gb", "on_cloud",
      "pue",            "wue"};
  // clang-format on
  return columns;
}

void write_emissions_csv(const std::string& path, const std::vector<AttemptRecord>& attempts,
                         const CarbonIntensity& intensity, const EmissionsFacts& facts) {
  std::string text = joined_by_comma(emissions_columns());
  text += '\n';
  for (const std::string& line : other_runs(path, facts)) text += line + "\n";
  for (const AttemptRecord& attempt : attempts) text += attempt_row(attempt, intensity, facts) + "\n";
  core::write_file(path, text);
}

}  // namespace txtsum::metrics
