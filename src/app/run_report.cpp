#include "app/run_report.h"

#include <cstdio>

#include "app/freeze_report.h"
#include "app/run_ledger.h"
#include "txtsum/app/table.h"
#include "txtsum/config/dump.h"
#include "txtsum/core/file.h"
#include "txtsum/metrics/emissions_csv.h"
#include "txtsum/metrics/report.h"

namespace txtsum::app {
namespace {

constexpr double kBytesPerGb = 1e9;

core::Json config_json(const config::ExperimentConfig& config) {
  core::Json json = core::Json::object();
  for (const config::KeyValue& entry : config::list_values(config)) json[entry.key] = entry.value;
  return json;
}

metrics::EmissionsFacts emissions_facts(const ReportParts& parts) {
  metrics::EmissionsFacts facts;
  facts.run_id = parts.config.run.name;
  facts.experiment_id = parts.config.run.name;
  facts.cloud_region = parts.config.resources.region.value_or("");
  facts.os = parts.environment.value("os", "");
  facts.cpu_model = parts.environment.value("cpu_model", "");
  facts.cpu_count = parts.environment.value("cpu_count", 0);
  if (parts.environment.contains("memory_bytes") && parts.environment.at("memory_bytes").is_number()) {
    facts.ram_total_gb = parts.environment.at("memory_bytes").get<double>() / kBytesPerGb;
  }
  return facts;
}

std::string number(double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.4g %s", value, unit);
  return text;
}

constexpr const char* kAtLeast = "at least ";

std::string figure_text(const metrics::Figure& figure, const char* unit, double factor = 1.0) {
  if (!figure.known()) return "missing: " + figure.note;
  std::string text = (figure.lower_bound ? kAtLeast : "") + number(*figure.value * factor, unit);
  text.append(" (").append(metrics::provenance_name(figure.provenance));
  if (!figure.source.empty()) text.append(": ").append(figure.source);
  return text.append(")");
}

}  // namespace

core::Json write_report(const RunFolder& folder, const ReportParts& parts, metrics::Ledger& ledger,
                        const core::Clock& clock, const std::function<void(const core::Json&)>& before) {
  metrics::ReportInputs inputs;
  inputs.run_name = parts.config.run.name;
  inputs.command = parts.command;
  inputs.command_line = parts.command_line;
  inputs.created_unix_seconds = clock.unix_seconds();
  inputs.config = config_json(parts.config);
  inputs.environment = parts.environment;
  inputs.data = parts.data;
  inputs.quality = parts.quality;
  inputs.warnings = to_json(parts.warnings);
  inputs.gpu_work = parts.gpu_work;
  inputs.rank_work = parts.rank_work;
  inputs.attempts = all_attempts(folder.file(kAttemptsFolder), ledger);
  inputs.freezing = with_spared_work(parts.freezing, metrics::add_up(inputs.attempts));
  inputs.carbon = carbon_options(parts.config.resources);
  inputs.cost = cost_options(parts.config.resources);
  inputs.device_peak = device_peak_options(parts.config.resources);
  if (!inputs.attempts.attempts.empty()) inputs.device_peak.device_name = inputs.attempts.attempts.back().device_name;
  inputs.device_peak.precision = config::name_of(parts.config.train.precision);
  core::Json report = metrics::make_report(inputs);
  metrics::write_emissions_csv(folder.file(kEmissionsFile), inputs.attempts.attempts,
                               metrics::find_carbon_intensity(inputs.carbon), emissions_facts(parts));
  if (before) before(report);
  // The last file of a run: it says whether the run is finished (plan_start).
  core::write_file(folder.file(kReportFile), core::to_pretty_text(report));
  return report;
}

core::Json to_json(const metrics::CorpusRouge& rouge) {
  core::Json json = core::Json::object();
  for (const metrics::CorpusScore& score : rouge.scores) json[score.name] = metrics::round_to_4_decimals(score.f);
  if (rouge.options.bootstrap.resamples > 0) {
    for (const metrics::CorpusScore& score : rouge.scores) {
      json["intervals"][score.name] = {{"low", metrics::round_to_4_decimals(score.f_interval.low)},
                                       {"middle", metrics::round_to_4_decimals(score.f_interval.middle)},
                                       {"high", metrics::round_to_4_decimals(score.f_interval.high)}};
    }
  }
  for (const metrics::CorpusScore& score : rouge.scores) {
    json["precision"][score.name] = metrics::round_to_4_decimals(score.precision);
    json["recall"][score.name] = metrics::round_to_4_decimals(score.recall);
  }
  json["pairs"] = rouge.pairs();
  json["stemmer"] = rouge.stemmer;
  json["sentences"] = rouge.sentence_splitter;
  json["aggregation"] = rouge.aggregation;
  return json;
}

std::map<std::string, double> rouge_shares(const metrics::CorpusRouge& rouge) {
  std::map<std::string, double> shares;
  for (const metrics::CorpusScore& score : rouge.scores) shares[score.name] = score.f / 100.0;
  return shares;
}

std::string footprint_text(const config::ResourcesConfig& resources, const std::string& attempts_folder,
                           metrics::Ledger& ledger) {
  const metrics::Footprint footprint = current_footprint(resources, attempts_folder, ledger);
  Table table;
  table.add_row({"time", (footprint.lower_bound ? kAtLeast : "") + format_duration(footprint.seconds)});
  table.add_row({"energy", figure_text(footprint.energy_kwh, "kWh")});
  const metrics::CarbonEstimate& carbon = footprint.carbon;
  if (carbon.low_grams.known()) {
    table.add_row({"carbon", (carbon.low_grams.lower_bound ? kAtLeast : "") + number(*carbon.low_grams.value, "to ") +
                                 number(*carbon.high_grams.value, "g CO2e")});
  } else {
    table.add_row({"carbon", figure_text(carbon.low_grams, "g CO2e")});
  }
  table.add_row({"cost", figure_text(footprint.cost_usd, "USD")});
  return table.text();
}

}  // namespace txtsum::app
