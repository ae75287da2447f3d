// Charts of many values: lines and histograms.

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/chart_frame.h"
#include "txtsum/app/chart.h"
#include "txtsum/app/table.h"

namespace txtsum::app {
namespace {

using Points = std::vector<std::pair<double, double>>;

std::string path_of(const Points& places) {
  std::string path;
  for (const auto& [x, y] : places) {
    path.append(path.empty() ? "M" : "L").append(place_text(x)).append(" ").append(place_text(y));
  }
  return path;
}

std::string circle(double x, double y, double radius, const std::string& style_class) {
  return "<circle class=\"" + style_class + "\" cx=\"" + place_text(x) + "\" cy=\"" + place_text(y) + "\" r=\"" +
         place_text(radius) + "\"/>";
}

Points finite_points(const Points& points) {
  Points kept;
  for (const auto& point : points) {
    if (std::isfinite(point.first) && std::isfinite(point.second)) kept.push_back(point);
  }
  return kept;
}

std::string draw_series(const LineSeries& series, const Scale& x, const Scale& y) {
  Points places;
  for (const auto& [at, value] : finite_points(series.points)) places.emplace_back(x.at(at), y.at(value));
  const std::string color = color_class(series.color);
  std::string svg;
  if (places.size() > 1) svg += "<path class=\"line " + color + "\" d=\"" + path_of(places) + "\"/>";
  const bool alone = places.size() == 1 && !series.rings;
  if (!series.rings && !alone) return svg;
  for (size_t i = 0; i < places.size(); ++i) {
    const bool filled = alone || (series.filled && series.points.size() == places.size() && *series.filled == i);
    svg += circle(places[i].first, places[i].second, filled ? 4.2 : 3.2, (filled ? "dot " : "ring ") + color);
  }
  return svg;
}

/// The value that at most one percent of the values exceed.
double percentile_99(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(std::ceil(0.99 * static_cast<double>(values.size()))) - 1];
}

struct Bins {
  double first = 0;
  double width = 1;
  size_t count = 1;

  /// One more than the last for what lies beyond.
  size_t of(double value) const {
    const auto bin = static_cast<size_t>(std::max(0.0, std::floor((value - first) / width)));
    return std::min(bin, count);
  }
};

/// About two dozen bins of a round width that hold whole numbers evenly.
Bins make_bins(const Extent& extent, double end) {
  const std::vector<Tick> ticks = linear_ticks(extent.low(), std::max(end, extent.low() + 1), 22);
  Bins bins;
  bins.width = ticks.size() > 1 ? std::max(1.0, std::round(ticks[1].value - ticks[0].value)) : 1.0;
  bins.first = std::floor(extent.low() / bins.width) * bins.width;
  bins.count = static_cast<size_t>(std::floor((end - bins.first) / bins.width)) + 1;
  return bins;
}

std::vector<int64_t> counts_in(const Bins& bins, const std::vector<double>& values) {
  std::vector<int64_t> counts(bins.count + 1, 0);
  for (const double value : values) ++counts[bins.of(value)];
  return counts;
}

std::string outline(const Bins& bins, const std::vector<int64_t>& counts, const Scale& x, const Scale& y,
                    const std::string& style_class) {
  Points places{{x.at(bins.first), y.at(0)}};
  for (size_t b = 0; b < bins.count; ++b) {
    const double top = y.at(static_cast<double>(counts[b]));
    const double left = bins.first + static_cast<double>(b) * bins.width;
    places.emplace_back(x.at(left), top);
    places.emplace_back(x.at(left + bins.width), top);
  }
  places.emplace_back(places.back().first, y.at(0));
  return "<path class=\"" + style_class + "\" d=\"" + path_of(places) + "\"/>";
}

/// Values that one histogram shows, over all series.
struct HistogramExtent {
  Extent all;
  double end = 0;  ///< Where the drawing ends.
};

HistogramExtent extent_of(const std::vector<HistogramSeries>& series) {
  HistogramExtent extent;
  double usual = 0;
  for (const HistogramSeries& each : series) {
    for (const double value : each.values) extent.all.take(value);
    if (!each.values.empty()) usual = std::max(usual, percentile_99(each.values));
  }
  constexpr double kFarBeyond = 1.5;
  extent.end = extent.all.is_empty() || extent.all.high() <= kFarBeyond * usual ? extent.all.high() : usual;
  return extent;
}

}  // namespace

std::string line_chart(const std::string& summary, const Axis& x, const Axis& y,
                       const std::vector<LineSeries>& series) {
  Extent x_extent, y_extent;
  for (const LineSeries& each : series) {
    for (const auto& [at, value] : finite_points(each.points)) {
      x_extent.take(at);
      y_extent.take(value);
    }
  }
  if (y_extent.is_empty()) return empty_chart(summary);
  const FrameSize size;
  Scale x_scale(x_extent, x, 0.0), y_scale(y_extent, y, 0.05);
  std::string svg = open_chart(size, summary) + draw_frame(size, x_scale, x, y_scale, y);
  for (const LineSeries& each : series) svg += draw_series(each, x_scale, y_scale);
  return svg + "</svg>";
}

std::string histogram(const std::string& summary, const Axis& x, const std::string& count_title,
                      const std::vector<HistogramSeries>& series, std::optional<std::pair<double, std::string>> limit) {
  const HistogramExtent extent = extent_of(series);
  if (extent.all.is_empty()) return empty_chart(summary);
  const Bins bins = make_bins(extent.all, extent.end);
  Extent x_extent, y_extent;
  x_extent.take(bins.first);
  constexpr double kLeastWidth = 5;  // ticks at whole numbers
  x_extent.take(bins.first + std::max(kLeastWidth, static_cast<double>(bins.count) * bins.width));
  int64_t beyond = 0;
  std::vector<std::vector<int64_t>> counts;
  for (const HistogramSeries& each : series) {
    counts.push_back(counts_in(bins, each.values));
    beyond += counts.back().back();
    for (size_t b = 0; b < bins.count; ++b) y_extent.take(static_cast<double>(counts.back()[b]));
  }
  const FrameSize size;
  const Axis y{count_title, true, false};
  Scale x_scale(x_extent, x, 0.0), y_scale(y_extent, y, 0.05);
  std::string svg = open_chart(size, summary) + draw_frame(size, x_scale, x, y_scale, y);
  for (size_t s = 0; s < series.size(); ++s) {
    const std::string color = color_class(series[s].color);
    if (series.size() == 1) svg += outline(bins, counts[s], x_scale, y_scale, "band " + color);
    svg += outline(bins, counts[s], x_scale, y_scale, "line " + color);
  }
  if (beyond > 0) {
    const std::string text =
        with_separators(beyond) + " beyond, up to " + with_separators(std::llround(extent.all.high()));
    svg += svg_text(size.plot_right(), 13, "title", "end", text);
  }
  if (limit && limit->first >= x_scale.low() && limit->first <= x_scale.high()) {
    const double place = x_scale.at(limit->first);
    const bool left = place + text_width(limit->second) + 6 > size.plot_right();
    svg += svg_line(place, size.top, place, size.plot_bottom(), "limit");
    svg += svg_text(place + (left ? -5 : 5), size.top + 10, "label", left ? "end" : "start", limit->second);
  }
  return svg + "</svg>";
}

}  // namespace txtsum::app
