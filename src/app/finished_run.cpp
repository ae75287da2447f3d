#include "app/finished_run.h"

#include <cmath>
#include <filesystem>
#include <functional>
#include <utility>

#include "app/run_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/metrics/report.h"

namespace txtsum::app {
namespace {

namespace fs = std::filesystem;

/// Hands each line's JSON to `take`; a complaint of either names the line. A last line without its end is what a killed
/// process left, and no line.
void read_lines(const std::string& path, const std::function<void(core::Json json)>& take) {
  const std::string content = core::read_file(path);
  int64_t number = 0;
  for (size_t begin = 0, end; (end = content.find('\n', begin)) != std::string::npos; begin = end + 1) {
    ++number;
    try {
      take(core::Json::parse(content.begin() + static_cast<std::ptrdiff_t>(begin),
                             content.begin() + static_cast<std::ptrdiff_t>(end)));
    } catch (const core::Json::exception& error) {
      throw core::DataError(path + ":" + std::to_string(number) + ": not a line of this program: " + error.what());
    }
  }
}

template <typename Value>
std::optional<Value> value_if_there(const core::Json& json, const char* key) {
  if (!json.contains(key)) return std::nullopt;
  return json.at(key).get<Value>();
}

Prediction prediction_from_json(const core::Json& json) {
  Prediction prediction;
  prediction.id = json.at("id").get<std::string>();
  prediction.summary = json.at("summary").get<std::string>();
  prediction.reference = json.at("reference").get<std::string>();
  prediction.summary_tokens = static_cast<int64_t>(json.at("token_ids").size()) - 1;
  for (size_t k = 0; k < metrics::kRougeKinds.size(); ++k) {
    prediction.rouge[k] = json.at(metrics::kRougeKinds[k].name).get<double>();
  }
  prediction.source_start = value_if_there<std::string>(json, "source_start");
  prediction.source_tokens = value_if_there<int64_t>(json, "source_tokens");
  prediction.reference_tokens = value_if_there<int64_t>(json, "reference_tokens");
  return prediction;
}

/// The split that was summarized: a training's last validation has scores too, but no `pairs`.
std::string scored_split(const core::Json& report) {
  for (const char* split : {"test", "validation"}) {
    const core::Json& quality = report.at("quality");
    if (quality.contains(split) && quality.at(split).is_object() && quality.at(split).contains("pairs")) return split;
  }
  return "";
}

/// The report's means are those of the predictions, up to their rounding.
void check_belonging(const FinishedRun& run) {
  constexpr double kRounding = 1e-3;
  const auto pairs = run.quality().at("pairs").get<size_t>();
  bool belongs = pairs == run.predictions.size();
  for (size_t k = 0; belongs && k < metrics::kRougeKinds.size(); ++k) {
    double sum = 0;
    for (const Prediction& prediction : run.predictions) sum += prediction.rouge[k];
    const double reported = run.quality().at(metrics::kRougeKinds[k].name).get<double>();
    belongs = std::abs(sum / static_cast<double>(pairs) - reported) < kRounding;
  }
  if (belongs) return;
  throw core::DataError(run.folder + ": " + kPredictionsFile + " (" + std::to_string(run.predictions.size()) +
                        " lines) does not have the scores of " + kReportFile + " (" + std::to_string(pairs) +
                        " pairs): they are of different runs. Evaluate again");
}

core::Json read_report(const std::string& path) {
  core::Json report = core::read_json_file(path);
  if (!report.is_object() || report.value("program", core::Json()) != core::Json("txtsum")) {
    throw core::DataError(path + ": not a report of txtsum");
  }
  const core::Json version = report.value("schema_version", core::Json());
  if (version != core::Json(metrics::kReportSchemaVersion)) {
    throw core::DataError(path + ": wanted schema_version " + std::to_string(metrics::kReportSchemaVersion) +
                          ", found " + core::to_line(version));
  }
  return report;
}

/// Asks for what every reader of a run asks for, so that a report of another form is refused here.
void settle_report(FinishedRun& run, const std::string& path) {
  try {
    run.split = scored_split(run.report);
    run.has_training();
    run.name();
    footprint_figures(run.report);
  } catch (const core::Json::exception& error) {
    throw core::DataError(path + ": not of the form in docs/report_schema.json: " + error.what());
  } catch (const core::DataError& error) {
    throw core::DataError(path + ": " + error.what());
  }
}

}  // namespace

bool FinishedRun::has_training() const {
  if (report.contains("command")) return report.at("command") == "train";
  return report.at("phases").at("train").at("work").at("updates").get<int64_t>() > 0;
}

FinishedRun read_finished_run(const std::string& folder) {
  FinishedRun run;
  run.folder = folder;
  while (run.folder.size() > 1 && run.folder.back() == '/') run.folder.pop_back();
  const std::string report_path = run.folder + "/" + kReportFile;
  if (!fs::exists(report_path)) {
    throw core::UserError(run.folder + ": wanted the folder of a run or of an evaluation, found no " + kReportFile +
                          (fs::is_directory(run.folder) ? " in it" : ""));
  }
  run.report = read_report(report_path);
  settle_report(run, report_path);
  if (!run.split.empty()) {
    read_lines(run.folder + "/" + kPredictionsFile,
               [&](const core::Json& json) { run.predictions.push_back(prediction_from_json(json)); });
    try {
      check_belonging(run);
    } catch (const core::Json::exception& error) {
      throw core::DataError(report_path + ": not of the form in docs/report_schema.json: " + error.what());
    }
  }
  const std::string steps_path = run.folder + "/" + kStepsFile;
  if (fs::exists(steps_path)) {
    read_lines(steps_path, [&](core::Json json) { run.steps.push_back(std::move(json)); });
  }
  return run;
}

std::vector<std::string> doubts_of(const core::Json& report) {
  std::vector<std::string> texts;
  for (const core::Json& doubt : report.value("doubts", core::Json::array())) {
    texts.push_back(doubt.at("what").get<std::string>() + ": " + doubt.at("reason").get<std::string>());
  }
  return texts;
}

std::vector<std::string> warnings_of(const core::Json& report) {
  std::vector<std::string> texts;
  for (const core::Json& warning : report.value("warnings", core::Json::array())) {
    texts.push_back(warning.at("text").get<std::string>());
  }
  return texts;
}

std::vector<NamedFigure> footprint_figures(const core::Json& report) {
  const core::Json& total = report.at("total");
  const auto figure = [&](const char* key) { return metrics::figure_from_json(total.at(key)); };
  metrics::Figure seconds = metrics::measured(total.at("seconds").get<double>(), "s", "monotonic clock");
  seconds.lower_bound = total.contains("bound");
  return {{"seconds", "time", seconds},
          {"energy_wh", "energy",
           metrics::scaled(metrics::figure_from_json(total.at("energy_kwh").at("total")), 1000.0, "Wh")},
          {"carbon_grams_low", "carbon, lowest", figure("carbon_grams_low")},
          {"carbon_grams_high", "carbon, highest", figure("carbon_grams_high")},
          {"cost_usd", "cost", figure("cost_usd")},
          {"peak_device_memory_bytes", "peak memory, device", figure("peak_device_memory_bytes")},
          {"peak_host_rss_bytes", "peak memory, host", figure("peak_host_rss_bytes")}};
}

}  // namespace txtsum::app
