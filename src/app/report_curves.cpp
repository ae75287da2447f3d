// The page's learning curves and length histograms.

#include <algorithm>
#include <functional>
#include <optional>

#include "app/report_sections.h"
#include "txtsum/app/chart.h"
#include "txtsum/app/html_text.h"
#include "txtsum/app/table.h"

namespace txtsum::app {
namespace {

using Points = std::vector<std::pair<double, double>>;

/// A line of steps.jsonl's value by update, of one kind of event.
Points points_of(const FinishedRun& run, const char* event, const char* key) {
  Points points;
  for (const core::Json& line : run.steps) {
    if (line.at("event") != core::Json(event) || !line.contains(key) || !line.at(key).is_number()) continue;
    points.emplace_back(line.at("update").get<double>(), line.at(key).get<double>());
  }
  return points;
}

/// Neighbours averaged, so that a long run stays a light page.
Points thinned(const Points& points) {
  constexpr size_t kMost = 400;
  if (points.size() <= kMost) return points;
  Points means;
  for (size_t b = 0; b < kMost; ++b) {
    const size_t begin = b * points.size() / kMost, end = (b + 1) * points.size() / kMost;
    double x = 0, y = 0;
    for (size_t i = begin; i < end; ++i) {
      x += points[i].first;
      y += points[i].second;
    }
    means.emplace_back(x / static_cast<double>(end - begin), y / static_cast<double>(end - begin));
  }
  return means;
}

/// Which of the validations the finished model is of: the last that was best, where there was a choice.
std::optional<size_t> best_validation(const FinishedRun& run, const char* key) {
  std::optional<size_t> best;
  size_t place = 0;
  for (const core::Json& line : run.steps) {
    if (line.at("event") != core::Json("validation") || !line.contains(key) || !line.at(key).is_number()) continue;
    if (line.value("best", false)) best = place;
    ++place;
  }
  return best;
}

const Axis kUpdates{"update", false, false};

std::string soft(const std::string& text) { return std::string(" ").append(element("span", "class=\"soft\"", text)); }

/// Lines of all runs for one key of the log.
std::vector<LineSeries> logged(const Runs& runs, const char* key) {
  std::vector<LineSeries> series;
  for (size_t i = 0; i < runs.size(); ++i) {
    series.push_back({static_cast<int>(i), thinned(points_of(runs[i], "update", key)), false, std::nullopt});
  }
  return series;
}

std::vector<LineSeries> validated(const Runs& runs, const char* key) {
  std::vector<LineSeries> series;
  for (size_t i = 0; i < runs.size(); ++i) {
    Points points = points_of(runs[i], "validation", key);
    if (!points.empty()) series.push_back({static_cast<int>(i), points, true, best_validation(runs[i], key)});
  }
  return series;
}

std::string loss_figure(const Runs& runs) {
  std::vector<LineSeries> series = logged(runs, "loss");
  const std::vector<LineSeries> rings = validated(runs, "loss");
  series.insert(series.end(), rings.begin(), rings.end());
  const std::string caption =
      "Loss" + soft(rings.empty() ? "training" : "line: training; circles: validation, filled: the best");
  return figure_html(caption, line_chart("Training and validation loss by update", kUpdates,
                                         {"loss per target token", false, false}, series));
}

std::string rate_figure(const Runs& runs) {
  return figure_html("Learning rate", line_chart("Learning rate by update", kUpdates, {"learning rate", true, false},
                                                 logged(runs, "learning_rate")));
}

std::string validation_figure(const Runs& runs) {
  const std::vector<LineSeries> series = validated(runs, "rougeL");
  if (series.empty()) return "";
  return figure_html(
      "Validation ROUGE-L" + soft("of generated summaries"),
      line_chart("ROUGE-L of the validation split by update", kUpdates, {"F x 100", false, false}, series));
}

using Length = std::function<std::optional<int64_t>(const Prediction& prediction)>;

/// One outline for all runs where the lengths are the same, else one for each.
std::vector<HistogramSeries> lengths_of(const Runs& runs, const Length& length) {
  std::vector<HistogramSeries> series;
  for (size_t i = 0; i < runs.size(); ++i) {
    HistogramSeries each{static_cast<int>(i), {}};
    for (const Prediction& prediction : runs[i].predictions) {
      const std::optional<int64_t> tokens = length(prediction);
      if (tokens) each.values.push_back(static_cast<double>(*tokens));
    }
    if (!each.values.empty()) series.push_back(std::move(each));
  }
  const bool same = std::all_of(series.begin(), series.end(),
                                [&](const HistogramSeries& each) { return each.values == series.front().values; });
  if (same && series.size() > 1) {
    series.resize(1);
    series.front().color = 5;
  }
  return series;
}

/// The same limit in all runs, as a mark.
std::optional<std::pair<double, std::string>> common_limit(const Runs& runs, const char* key) {
  std::optional<std::string> value;
  for (const FinishedRun& run : runs) {
    const core::Json& config = run.report.at("config");
    if (!config.contains(key) || !config.at(key).is_string()) return std::nullopt;
    const std::string here = config.at(key).get<std::string>();
    if (value && *value != here) return std::nullopt;
    value = here;
  }
  if (!value || value->empty() || value->find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::pair{std::stod(*value), "limit " + with_separators(std::stoll(*value))};
}

std::string length_figure(const Runs& runs, const char* name, const Length& length, const char* limit_key) {
  const std::vector<HistogramSeries> series = lengths_of(runs, length);
  if (series.empty()) return "";
  const bool shared = runs.size() > 1 && series.size() == 1;
  const auto limit = limit_key == nullptr ? std::nullopt : common_limit(runs, limit_key);
  return figure_html(name + (shared ? soft("the same in all runs") : ""),
                     histogram(std::string("How many ") + name + " have how many tokens", {"tokens", false, false},
                               "documents", series, limit));
}

}  // namespace

std::string curves_section(const Runs& runs) {
  const bool trained = std::any_of(runs.begin(), runs.end(), [](const FinishedRun& run) { return !run.steps.empty(); });
  if (!trained) return "";
  return section("Learning curves",
                 runs_legend(runs) + element("div", "class=\"charts\"",
                                             loss_figure(runs) + rate_figure(runs) + validation_figure(runs)));
}

std::string lengths_section(const Runs& runs) {
  const std::string charts =
      length_figure(
          runs, "Documents", [](const Prediction& p) { return p.source_tokens; }, "data.max_source_tokens") +
      length_figure(
          runs, "References", [](const Prediction& p) { return p.reference_tokens; }, nullptr) +
      length_figure(
          runs, "Summaries", [](const Prediction& p) { return std::optional(p.summary_tokens); },
          "generation.max_new_tokens");
  if (charts.empty()) return "";
  const std::string note =
      "Of the split that was summarized, in each model's own tokens, before anything is cut; "
      "special tokens included.";
  return section("Lengths",
                 element("p", "class=\"sub\"", note) + runs_legend(runs) + element("div", "class=\"charts\"", charts));
}

}  // namespace txtsum::app
