// The page's scores: headline, intervals, differences, trade-offs.

#include <algorithm>

#include "app/report_sections.h"
#include "app/run_comparison.h"
#include "txtsum/app/chart.h"
#include "txtsum/app/html_text.h"
#include "txtsum/app/number_text.h"
#include "txtsum/app/table.h"
#include "txtsum/core/error.h"

namespace txtsum::app {
namespace {

/// A score with its interval; without resamples the interval is the score.
metrics::Interval rouge_interval(const FinishedRun& run, size_t kind) {
  const char* name = metrics::kRougeKinds[kind].name;
  const double score = run.quality().at(name).get<double>();
  if (!run.quality().contains("intervals")) return {score, score, score};
  const core::Json& interval = run.quality().at("intervals").at(name);
  return {interval.at("low").get<double>(), score, interval.at("high").get<double>()};
}

std::string range_text(const FinishedRun& run, size_t kind) {
  if (!run.quality().contains("intervals")) return "no interval";
  const metrics::Interval interval = rouge_interval(run, kind);
  return fixed(interval.low, 2) + " to " + fixed(interval.high, 2);
}

const NamedFigure& figure_named(const std::vector<NamedFigure>& figures, std::string_view key) {
  return *std::find_if(figures.begin(), figures.end(), [&](const NamedFigure& each) { return each.key == key; });
}

std::string number_and_unit(const metrics::Figure& figure) {
  return figure.known() ? escape_html(value_text(figure)) : "&ndash;";
}

std::string carbon_text(const std::vector<NamedFigure>& figures) {
  return range_html(figure_named(figures, "carbon_grams_low").figure,
                    figure_named(figures, "carbon_grams_high").figure);
}

/// The peak that limits: the device's where there is one.
const metrics::Figure& peak_memory(const std::vector<NamedFigure>& figures) {
  const metrics::Figure& device = figure_named(figures, "peak_device_memory_bytes").figure;
  return device.known() ? device : figure_named(figures, "peak_host_rss_bytes").figure;
}

std::string tile(const std::string& name, const std::string& value, const std::string& below) {
  return element("div", "", element("dt", "", name) + element("dd", "", value + element("small", "", below)));
}

std::string tag_below(const metrics::Figure& figure, const std::string& more = "") {
  const std::string tag(metrics::provenance_name(figure.provenance));
  return (more.empty() ? "" : more + "; ") + tag;
}

std::string tiles_html(const FinishedRun& run) {
  std::string html;
  if (!run.split.empty()) {
    std::string scores;
    for (size_t k = 0; k < kRougeTitles.size(); ++k) {
      scores += tile(kRougeTitles[k], fixed(rouge_interval(run, k).middle, 2), range_text(run, k));
    }
    html += element("dl", "class=\"tiles\"", scores);
  }
  const std::vector<NamedFigure> figures = footprint_figures(run.report);
  const auto figure = [&](const char* key) -> const metrics::Figure& { return figure_named(figures, key).figure; };
  const metrics::Figure& memory = peak_memory(figures);
  const bool of_device = figure("peak_device_memory_bytes").known();
  const std::string costs =
      tile("Time", number_and_unit(figure("seconds")), run.has_training() ? "whole run" : "evaluation") +
      tile("Energy", number_and_unit(figure("energy_wh")), tag_below(figure("energy_wh"))) +
      tile("CO<sub>2</sub>e", carbon_text(figures) + (figure("carbon_grams_high").known() ? " g" : ""),
           tag_below(figure("carbon_grams_high"))) +
      tile("Cost", number_and_unit(figure("cost_usd")), tag_below(figure("cost_usd"))) +
      tile("Peak memory", number_and_unit(memory), tag_below(memory, of_device ? "device" : "host"));
  return html + element("dl", "class=\"tiles\"", costs);
}

bool any_has_training(const Runs& runs) {
  return std::any_of(runs.begin(), runs.end(), [](const FinishedRun& run) { return run.has_training(); });
}

bool any_knows(const Runs& runs, const char* key) {
  return std::any_of(runs.begin(), runs.end(), [&](const FinishedRun& run) {
    return figure_named(footprint_figures(run.report), key).figure.known();
  });
}

std::string runs_table(const Runs& runs) {
  std::vector<std::vector<std::string>> rows{
      {"Run", "R-1", "R-2", "R-L", "R-Lsum", "Time", "Energy, Wh", "CO<sub>2</sub>e, g", "Cost, USD"}};
  const bool has_device = any_knows(runs, "peak_device_memory_bytes");
  if (has_device) rows.front().push_back("Peak memory, device");
  rows.front().push_back("Peak memory, host");
  for (size_t i = 0; i < runs.size(); ++i) {
    const bool is_odd = any_has_training(runs) && !runs[i].has_training();
    std::vector<std::string> row{run_mark(runs, i) +
                                 (is_odd ? " " + element("span", "class=\"soft\"", "evaluation alone") : "") +
                                 element("small", "class=\"folder\"", escape_html(runs[i].folder))};
    for (size_t k = 0; k < kRougeTitles.size(); ++k) {
      row.push_back(runs[i].split.empty() ? "&ndash;" : fixed(rouge_interval(runs[i], k).middle, 2));
    }
    const std::vector<NamedFigure> figures = footprint_figures(runs[i].report);
    const auto number = [&](const char* key) {
      const metrics::Figure& figure = figure_named(figures, key).figure;
      return figure_mark(figure, number_html(figure));
    };
    row.push_back(number_and_unit(figure_named(figures, "seconds").figure));
    row.push_back(number("energy_wh"));
    row.push_back(figure_mark(figure_named(figures, "carbon_grams_high").figure, carbon_text(figures)));
    row.push_back(number("cost_usd"));
    const auto memory = [&](const char* key) {
      const metrics::Figure& figure = figure_named(figures, key).figure;
      return figure_mark(figure, number_and_unit(figure));
    };
    if (has_device) row.push_back(memory("peak_device_memory_bytes"));
    row.push_back(memory("peak_host_rss_bytes"));
    rows.push_back(std::move(row));
  }
  return table_html(rows) + tags_legend();
}

std::string scoring_line(const FinishedRun& run) {
  const core::Json& quality = run.quality();
  return with_separators(quality.at("pairs").get<long long>()) + " documents of the " + run.split +
         " split. F x 100, mean over documents" + (quality.contains("intervals") ? "; 95 % bootstrap intervals" : "") +
         ". Stemmer: " + escape_html(quality.at("stemmer").get<std::string>()) + ".";
}

bool is_scored(const FinishedRun& run) { return !run.split.empty(); }

std::string signed_html(double value) {
  const std::string text = fixed(value, 2, true);
  return text.front() == '-' ? "&minus;" + text.substr(1) : text;
}

/// A difference with its interval and p-value; what differs surely stands out.
std::string difference_cell(const metrics::PairedDifference& row) {
  const bool sure = row.interval.low > 0 || row.interval.high < 0;
  const std::string number = signed_html(row.difference);
  return (sure ? element("b", "", number) : number) +
         element("small", "", signed_html(row.interval.low) + " to " + signed_html(row.interval.high)) +
         element("small", "", "p " + fixed(row.p_value, 4));
}

/// Cells of a run's differences to the first one, or why there are none.
std::vector<std::string> difference_row(const Runs& runs, size_t i, std::string& refusals) {
  std::vector<std::string> cells{run_mark(runs, i)};
  try {
    metrics::BootstrapOptions bootstrap;
    bootstrap.resamples = kComparisonResamples;
    const RunComparison comparison = compare_runs(runs[0], runs[i], bootstrap);
    for (const metrics::PairedDifference& row : comparison.rouge) cells.push_back(difference_cell(row));
  } catch (const core::UserError& error) {
    cells.resize(1 + kRougeTitles.size(), "&ndash;");
    refusals += element("p", "class=\"sub\"", run_mark(runs, i) + ": " + escape_html(error.what()));
  }
  return cells;
}

/// Why a run has no point in a chart of ROUGE-L against `cost`; empty where it has.
std::string why_left_out(const Runs& runs, size_t i, const metrics::Figure& cost, const char* title) {
  if (!is_scored(runs[i])) return "not scored";
  // What an evaluation took says nothing of what its model did.
  if (any_has_training(runs) && !runs[i].has_training()) return "an evaluation alone";
  return cost.known() ? "" : std::string("its ") + title + " is missing";
}

/// ROUGE-L against one figure of all runs that know it, and below which have no point and why.
std::string trade_off_html(const Runs& runs, const char* key, const char* title, const char* unit) {
  std::vector<TradeOffPoint> points;
  std::string without;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::vector<NamedFigure> figures = footprint_figures(runs[i].report);
    const metrics::Figure& cost = figure_named(figures, key).figure;
    if (const std::string why = why_left_out(runs, i, cost, title); !why.empty()) {
      without += (without.empty() ? "Left out: " : "; ") + letter_of(runs, i) + ", " + why;
      continue;
    }
    const metrics::Interval score = rouge_interval(runs[i], 2);
    constexpr size_t kLabelCharacters = 20;
    points.push_back({letter_of(runs, i) + " " + beginning_of(runs[i].name(), kLabelCharacters), static_cast<int>(i),
                      *cost.value, score.low, score.middle, score.high});
  }
  const std::string caption = std::string("ROUGE-L against ") + title;
  const std::string below = without.empty() ? "" : element("p", "class=\"sub\"", without + ".");
  if (points.size() < 2) {
    return figure_html(caption, element("p", "class=\"soft\"", "Fewer than two runs have both.") + below);
  }
  const auto [low, high] =
      std::minmax_element(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.cost < b.cost; });
  constexpr double kWide = 6;
  const Axis x{std::string(title) + ", " + unit, false, low->cost > 0 && high->cost / low->cost > kWide};
  return figure_html(caption, trade_off_chart(std::string("ROUGE-L of each run against its ") + title, x,
                                              {"ROUGE-L, F x 100", false, false}, points) +
                                  below);
}

}  // namespace

std::string headline_section(const Runs& runs) {
  return runs.size() == 1 ? tiles_html(runs.front()) : runs_table(runs);
}

namespace {

/// Of a single run one chart of all four scores, of several a chart a score.
std::string score_charts(const Runs& runs) {
  std::string charts;
  std::vector<IntervalRow> rows;
  for (size_t k = 0; k < kRougeTitles.size(); ++k) {
    for (size_t i = 0; i < runs.size(); ++i) {
      if (!is_scored(runs[i])) continue;
      const metrics::Interval interval = rouge_interval(runs[i], k);
      rows.push_back({runs.size() == 1 ? kRougeTitles[k] : letter_of(runs, i), static_cast<int>(i), interval.low,
                      interval.middle, interval.high});
    }
    if (runs.size() == 1 || rows.empty()) continue;
    charts +=
        figure_html(kRougeTitles[k], interval_chart(std::string(kRougeTitles[k]) + " of each run with its interval",
                                                    {"F x 100", false, false}, rows));
    rows.clear();
  }
  if (!rows.empty()) {
    charts = figure_html("", interval_chart("ROUGE with its intervals", {"F x 100", false, false}, rows));
  }
  return charts;
}

}  // namespace

std::string quality_section(const Runs& runs) {
  std::string lines;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string who = runs.size() > 1 && i > 0 ? run_mark(runs, i) + ": " : "";
    if (!is_scored(runs[i])) {
      lines += element("p", "class=\"sub\"", run_mark(runs, i) + ": the test split was not summarized and scored.");
    } else if (i == 0 || !is_scored(runs[0]) || scoring_line(runs[i]) != scoring_line(runs[0])) {
      lines += element("p", "class=\"sub\"", who + scoring_line(runs[i]));
    }
  }
  const std::string charts = score_charts(runs);
  if (charts.empty()) return section("Quality", lines);
  return section("Quality", lines + runs_legend(runs) + element("div", "class=\"charts\"", charts));
}

std::string differences_section(const Runs& runs) {
  if (runs.size() < 2) return "";
  std::vector<std::vector<std::string>> rows{{"Against " + run_mark(runs, 0)}};
  rows.front().insert(rows.front().end(), kRougeTitles.begin(), kRougeTitles.end());
  std::string refusals;
  for (size_t i = 1; i < runs.size(); ++i) rows.push_back(difference_row(runs, i, refusals));
  const std::string note =
      "Paired bootstrap over the documents: " + with_separators(kComparisonResamples) +
      " resamples, seed 0; 95 % intervals, two-sided p-values, not corrected for the number of comparisons.";
  return section("Differences on the same documents",
                 element("p", "class=\"sub\"", note) + table_html(rows, "differences") + refusals);
}

std::string trade_off_section(const Runs& runs) {
  if (runs.size() < 2) return "";
  const std::string charts =
      trade_off_html(runs, "energy_wh", "energy", "Wh") + trade_off_html(runs, "cost_usd", "cost", "USD");
  return section("Quality against cost",
                 element("p", "class=\"sub\"",
                         "Whole runs. The dashed line joins the runs that no other beats in both; whiskers are 95 % "
                         "intervals.") +
                     element("div", "class=\"charts\"", charts));
}

}  // namespace txtsum::app
