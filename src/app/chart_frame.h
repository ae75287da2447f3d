#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "txtsum/app/chart.h"

namespace txtsum::app {

/// The smallest range that holds all values that were taken in.
class Extent {
 public:
  void take(double value);
  bool is_empty() const { return low_ > high_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_ = 1;
  double high_ = 0;
};

/// Where values lie between two places of the drawing.
class Scale {
 public:
  /// `margin`: share of the range that is added at each free end, so that nothing lies on the frame.
  Scale(const Extent& extent, const Axis& axis, double margin);
  void place(double from, double to);
  double at(double value) const;
  const std::vector<Tick>& ticks() const { return ticks_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_, high_;
  bool logarithmic_;
  double from_ = 0, to_ = 1;
  std::vector<Tick> ticks_;
};

/// Sizes of a drawing, in its own units: one is about a pixel.
struct FrameSize {
  double width = 400;
  double height = 236;
  double left = 46;
  double right = 12;
  double top = 28;  ///< Room for the vertical axis's title.
  double bottom = 40;

  double plot_right() const { return width - right; }
  double plot_bottom() const { return height - bottom; }
};

/// `<svg ...>` with its summary; the caller ends it with `</svg>`.
std::string open_chart(const FrameSize& size, const std::string& summary);
/// Places both scales within the frame and draws grid, ticks and titles.
std::string draw_frame(const FrameSize& size, Scale& x, const Axis& x_axis, Scale& y, const Axis& y_axis);
/// The same without a vertical axis: lines from top to bottom at the ticks.
std::string draw_horizontal_axis(const FrameSize& size, Scale& x, const Axis& axis);
/// A chart of nothing.
std::string empty_chart(const std::string& summary);

/// `<text>` at a place; `anchor` is start, middle or end.
std::string svg_text(double x, double y, std::string_view style_class, std::string_view anchor, std::string_view text);
/// `<line>`.
std::string svg_line(double x1, double y1, double x2, double y2, const std::string& style_class);
/// A coordinate with one decimal.
std::string place_text(double value);
/// `c3` for colour 3; colours repeat after eight.
std::string color_class(int color);
/// About how wide `text` is in the charts' type.
double text_width(std::string_view text);

}  // namespace txtsum::app
