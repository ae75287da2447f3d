#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txtsum::app {

/// Charts as SVG elements for a page of HTML. They carry no colours of their own: the page's style sheet gives the
/// classes c0 to c7 (colours of runs), line, dot, ring, band, grid, axis, tick, title and label their look. Every text
/// is escaped. An axis is as long as its values need; a chart without values says so.

/// A place on an axis with its label.
struct Tick {
  double value = 0;
  std::string label;
};

/// Round numbers from `low` to `high`, about `count` of them; `low` < `high`.
std::vector<Tick> linear_ticks(double low, double high, int count);

/// Powers of ten, and their multiples by 2 and 5 where there are few; 0 < `low` < `high`.
std::vector<Tick> logarithmic_ticks(double low, double high);

struct Axis {
  std::string title;         ///< With the unit.
  bool from_zero = false;    ///< Begins at 0.
  bool logarithmic = false;  ///< For values above 0.
};

/// A line through points from left to right, or the points alone.
struct LineSeries {
  int color = 0;
  std::vector<std::pair<double, double>> points;
  bool rings = false;            ///< Each point is marked.
  std::optional<size_t> filled;  ///< Of the marked points the one that stands out.
};

/// `summary` is what a reader hears who does not see the chart.
std::string line_chart(const std::string& summary, const Axis& x, const Axis& y, const std::vector<LineSeries>& series);

/// A value with its interval, on a line of its own.
struct IntervalRow {
  std::string label;
  int color = 0;
  double low = 0, value = 0, high = 0;
};
std::string interval_chart(const std::string& summary, const Axis& x, const std::vector<IntervalRow>& rows);

/// A run in a plot of score against cost.
struct TradeOffPoint {
  std::string label;
  int color = 0;
  double cost = 0;
  double low = 0, score = 0, high = 0;
};

/// Places of the points that no other beats: none is at least as good in both and better in one. From cheap to dear.
std::vector<size_t> pareto_front(const std::vector<TradeOffPoint>& points);

/// Score (y) against cost (x), each point with its label, the front as a line of steps.
std::string trade_off_chart(const std::string& summary, const Axis& cost, const Axis& score,
                            const std::vector<TradeOffPoint>& points);

/// Numbers whose frequencies are drawn as one outline.
struct HistogramSeries {
  int color = 0;
  std::vector<double> values;
};
/// `limit`: a vertical line with its label. What lies beyond the 99th percentile by far is not drawn but said.
std::string histogram(const std::string& summary, const Axis& x, const std::string& count_title,
                      const std::vector<HistogramSeries>& series, std::optional<std::pair<double, std::string>> limit);

/// One bar cut into shares of its sum.
struct ShareBar {
  std::string label;
  std::vector<double> parts;
};
/// Bars one below the other; `names` of the parts stand inside where there is room.
std::string share_bars(const std::string& summary, const std::vector<std::string>& names,
                       const std::vector<ShareBar>& bars);

}  // namespace txtsum::app
