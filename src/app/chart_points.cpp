// Charts of a few values: intervals, trade-offs and shares.

#include <algorithm>
#include <array>
#include <numeric>

#include "app/chart_frame.h"
#include "txtsum/app/chart.h"
#include "txtsum/app/html_text.h"
#include "txtsum/app/number_text.h"

namespace txtsum::app {
namespace {

/// A rectangle that a label or a point takes up.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;

  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

std::string dot(double x, double y, int color) {
  return "<circle class=\"dot " + color_class(color) + "\" cx=\"" + place_text(x) + "\" cy=\"" + place_text(y) +
         "\" r=\"4.2\"/>";
}

/// Where a label may stand beside its point: the box it fills, and how its text is anchored.
struct LabelPlace {
  double x = 0, y = 0;
  const char* anchor = "start";
  Box box;
};

/// Beside, above and below the point, then askew.
std::array<LabelPlace, 8> label_places(double x, double y, double width) {
  constexpr double kGap = 8, kRise = 14, kHalfHeight = 7;
  const auto place = [&](double text_x, double text_y, const char* anchor, double left) {
    return LabelPlace{text_x, text_y + 4, anchor, {left, text_y - kHalfHeight, left + width, text_y + kHalfHeight}};
  };
  const auto right = [&](double rise) { return place(x + kGap, y + rise, "start", x + kGap); };
  const auto left = [&](double rise) { return place(x - kGap, y + rise, "end", x - kGap - width); };
  const auto centred = [&](double rise) { return place(x, y + rise, "middle", x - width / 2); };
  return {right(0),     left(0),     right(-kRise),         left(-kRise),
          right(kRise), left(kRise), centred(-1.3 * kRise), centred(1.3 * kRise)};
}

/// The place within the frame that overlaps the least of what is there.
LabelPlace free_place(double x, double y, double width, const FrameSize& size, const std::vector<Box>& taken) {
  const std::array<LabelPlace, 8> places = label_places(x, y, width);
  const auto burden = [&](const LabelPlace& place) {
    constexpr long kOutside = 1000;
    const bool outside = place.box.left < size.left || place.box.right > size.width;
    return std::count_if(taken.begin(), taken.end(), [&](const Box& other) { return other.overlaps(place.box); }) +
           (outside ? kOutside : 0);
  };
  return *std::min_element(places.begin(), places.end(),
                           [&](const LabelPlace& a, const LabelPlace& b) { return burden(a) < burden(b); });
}

/// The front's corners: from each of its points to the right, then up to the next one.
std::vector<std::pair<double, double>> front_corners(const std::vector<TradeOffPoint>& points, const Scale& x,
                                                     const Scale& y) {
  std::vector<std::pair<double, double>> corners;
  for (const size_t i : pareto_front(points)) {
    const double at_x = x.at(points[i].cost);
    if (!corners.empty()) corners.emplace_back(at_x, corners.back().second);
    corners.emplace_back(at_x, y.at(points[i].score));
  }
  return corners;
}

std::string front_path(const std::vector<std::pair<double, double>>& corners) {
  if (corners.size() < 2) return "";
  std::string path;
  for (const auto& [x, y] : corners) {
    path.append(path.empty() ? "M" : "L").append(place_text(x)).append(" ").append(place_text(y));
  }
  return "<path class=\"front\" d=\"" + path + "\"/>";
}

}  // namespace

std::string interval_chart(const std::string& summary, const Axis& x, const std::vector<IntervalRow>& rows) {
  Extent extent;
  for (const IntervalRow& row : rows) {
    extent.take(row.low);
    extent.take(row.high);
  }
  if (extent.is_empty()) return empty_chart(summary);
  constexpr double kRow = 24, kValueWidth = 46;
  double label_width = 0;
  for (const IntervalRow& row : rows) label_width = std::max(label_width, text_width(row.label));
  FrameSize size;
  size.left = label_width + 14;
  size.right = kValueWidth;
  size.top = 4;
  size.height = size.top + kRow * static_cast<double>(rows.size()) + size.bottom;
  Scale scale(extent, x, 0.08);
  std::string svg = open_chart(size, summary) + draw_horizontal_axis(size, scale, x);
  double middle = size.top - kRow / 2;
  for (const IntervalRow& row : rows) {
    middle += kRow;
    svg += svg_text(0, middle + 4, "label", "start", row.label);
    svg += svg_line(scale.at(row.low), middle, scale.at(row.high), middle, "whisker " + color_class(row.color));
    svg += dot(scale.at(row.value), middle, row.color);
    svg += svg_text(size.width, middle + 4, "label", "end", fixed(row.value, 2));
  }
  return svg + "</svg>";
}

std::vector<size_t> pareto_front(const std::vector<TradeOffPoint>& points) {
  const auto beats = [](const TradeOffPoint& a, const TradeOffPoint& b) {
    return a.cost <= b.cost && a.score >= b.score && (a.cost < b.cost || a.score > b.score);
  };
  std::vector<size_t> front;
  for (size_t i = 0; i < points.size(); ++i) {
    const bool beaten =
        std::any_of(points.begin(), points.end(), [&](const TradeOffPoint& other) { return beats(other, points[i]); });
    if (!beaten) front.push_back(i);
  }
  std::stable_sort(front.begin(), front.end(), [&](size_t a, size_t b) { return points[a].cost < points[b].cost; });
  return front;
}

std::string trade_off_chart(const std::string& summary, const Axis& cost, const Axis& score,
                            const std::vector<TradeOffPoint>& points) {
  if (points.empty()) return empty_chart(summary);
  Extent x_extent, y_extent;
  for (const TradeOffPoint& point : points) {
    x_extent.take(point.cost);
    y_extent.take(point.low);
    y_extent.take(point.high);
  }
  FrameSize size;
  size.height = 270;
  Scale x(x_extent, cost, 0.12), y(y_extent, score, 0.06);
  std::string svg = open_chart(size, summary) + draw_frame(size, x, cost, y, score);
  const auto corners = front_corners(points, x, y);
  svg += front_path(corners);
  std::vector<Box> taken;
  for (size_t i = 1; i < corners.size(); ++i) {
    const auto [left, right] = std::minmax(corners[i - 1].first, corners[i].first);
    const auto [top, bottom] = std::minmax(corners[i - 1].second, corners[i].second);
    taken.push_back({left - 1, top - 1, right + 1, bottom + 1});
  }
  for (const TradeOffPoint& point : points) {
    const double at_x = x.at(point.cost), at_y = y.at(point.score);
    svg += svg_line(at_x, y.at(point.low), at_x, y.at(point.high), "whisker " + color_class(point.color));
    svg += dot(at_x, at_y, point.color);
    taken.push_back({at_x - 5, at_y - 5, at_x + 5, at_y + 5});
    taken.push_back({at_x - 1, y.at(point.high), at_x + 1, y.at(point.low)});
  }
  for (const TradeOffPoint& point : points) {
    const LabelPlace place = free_place(x.at(point.cost), y.at(point.score), text_width(point.label), size, taken);
    svg += svg_text(place.x, place.y, "label", place.anchor, point.label);
    taken.push_back(place.box);
  }
  return svg + "</svg>";
}

std::string share_bars(const std::string& summary, const std::vector<std::string>& names,
                       const std::vector<ShareBar>& bars) {
  FrameSize size;
  constexpr double kBar = 18, kRow = 40;
  size.height = kRow * static_cast<double>(bars.size()) + 2;
  std::string svg = open_chart(size, summary);
  double y = 0;
  for (const ShareBar& bar : bars) {
    svg += svg_text(0, y + 12, "title", "start", bar.label);
    const double sum = std::accumulate(bar.parts.begin(), bar.parts.end(), 0.0);
    double x = 0;
    for (size_t i = 0; i < bar.parts.size() && sum > 0; ++i) {
      const double width = size.width * bar.parts[i] / sum;
      const std::string share = fixed(100 * bar.parts[i] / sum, 0) + " %";
      svg += "<rect class=\"part p" + std::to_string(i % 5) + "\" x=\"" + place_text(x) + "\" y=\"" +
             place_text(y + 18) + "\" width=\"" + place_text(width) + "\" height=\"" + place_text(kBar) + "\">" +
             element("title", "", escape_html(names[i] + " " + share)) + "</rect>";
      const std::string longer = names[i] + " " + share;
      const std::string& inside = text_width(longer) + 8 < width ? longer : names[i];
      if (text_width(inside) + 6 < width) {
        svg += svg_text(x + width / 2, y + 31, "on p" + std::to_string(i % 5), "middle", inside);
      }
      x += width;
    }
    y += kRow;
  }
  return svg + "</svg>";
}

}  // namespace txtsum::app
