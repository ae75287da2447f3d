#include "app/chart_frame.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "txtsum/app/html_text.h"
#include "txtsum/app/number_text.h"
#include "txtsum/app/table.h"

namespace txtsum::app {
namespace {

constexpr double kCharacterWidth = 6.4;

/// A tick's number. Very small and very large ones with an exponent, as `5e-5`.
std::string tick_label(double value, double step, double largest) {
  if (value == 0) return "0";
  char text[32];
  if (largest < 1e-3 || largest >= 1e6) {
    const int digits = std::max(
        0, static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-9) - std::floor(std::log10(step) + 1e-9)));
    std::snprintf(text, sizeof(text), "%.*e", digits, value);
    std::string label(text);
    const size_t sign = label.find('e') + 1;
    if (label[sign] == '+') label.erase(sign, 1);
    const size_t first_digit = label.find_first_of("0123456789", sign);
    label.erase(first_digit, label.find_first_not_of('0', first_digit) - first_digit);
    return label;
  }
  const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  return decimals == 0 ? with_separators(std::llround(value)) : fixed(value, decimals);
}

std::string attribute(const char* name, double value) {
  return std::string(" ") + name + "=\"" + place_text(value) + "\"";
}

}  // namespace

std::vector<Tick> linear_ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double share = rough / power;
  const double step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
  std::vector<Tick> ticks;
  const double largest = std::max(std::abs(low), std::abs(high));
  for (double n = std::ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n += 1) {
    ticks.push_back({n * step, tick_label(n * step, step, largest)});
  }
  return ticks;
}

std::vector<Tick> logarithmic_ticks(double low, double high) {
  std::vector<Tick> ticks;
  const bool few = std::log10(high / low) < 2.5;
  for (double power = std::floor(std::log10(low)); power <= std::ceil(std::log10(high)); power += 1) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, power);
      if ((factor != 1 && !few) || value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
      ticks.push_back({value, significant(value, 1)});
    }
  }
  return ticks;
}

void Extent::take(double value) {
  if (!std::isfinite(value)) return;
  const bool first = is_empty();
  low_ = first ? value : std::min(low_, value);
  high_ = first ? value : std::max(high_, value);
}

Scale::Scale(const Extent& extent, const Axis& axis, double margin)
    : low_(extent.low()), high_(extent.high()), logarithmic_(axis.logarithmic && extent.low() > 0) {
  if (axis.from_zero) low_ = std::min(0.0, low_);
  if (logarithmic_) {
    if (high_ / low_ < 1.2) {
      low_ /= 1.5;
      high_ *= 1.5;
    }
    const double factor = std::pow(high_ / low_, margin);
    low_ /= factor;
    high_ *= factor;
    ticks_ = logarithmic_ticks(low_, high_);
    return;
  }
  if (high_ - low_ < 1e-12 * std::max(1.0, std::abs(high_))) {
    const double half = high_ == 0 ? 1 : std::abs(high_) * 0.1;
    high_ += half;
    if (low_ != 0 || !axis.from_zero) low_ -= half;
  }
  const double room = margin * (high_ - low_);
  high_ += room;
  if (!axis.from_zero || low_ < 0) low_ -= room;
  ticks_ = linear_ticks(low_, high_, 5);
}

void Scale::place(double from, double to) {
  from_ = from;
  to_ = to;
}

double Scale::at(double value) const {
  const double share = logarithmic_ ? std::log(value / low_) / std::log(high_ / low_) : (value - low_) / (high_ - low_);
  return from_ + share * (to_ - from_);
}

std::string place_text(double value) { return fixed(value, 1); }

std::string color_class(int color) { return std::string("c").append(std::to_string(color % 8)); }

double text_width(std::string_view text) { return kCharacterWidth * static_cast<double>(display_width(text)); }

std::string svg_text(double x, double y, std::string_view style_class, std::string_view anchor, std::string_view text) {
  std::string attributes("class=\"");
  attributes.append(style_class).append("\"").append(attribute("x", x)).append(attribute("y", y));
  if (anchor != "start") attributes.append(" text-anchor=\"").append(anchor).append("\"");
  return element("text", attributes, escape_html(text));
}

std::string svg_line(double x1, double y1, double x2, double y2, const std::string& style_class) {
  return "<line class=\"" + style_class + "\"" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) +
         attribute("y2", y2) + "/>";
}

std::string open_chart(const FrameSize& size, const std::string& summary) {
  const std::string text = escape_html(summary);
  return "<svg viewBox=\"0 0 " + fixed(size.width, 0) + " " + fixed(size.height, 0) + "\" role=\"img\" aria-label=\"" +
         text + "\">";
}

std::string draw_horizontal_axis(const FrameSize& size, Scale& x, const Axis& axis) {
  x.place(size.left, size.plot_right());
  std::string svg;
  for (const Tick& tick : x.ticks()) {
    const double place = x.at(tick.value);
    svg += svg_line(place, size.top, place, size.plot_bottom(), "grid");
    svg += svg_text(place, size.plot_bottom() + 15, "tick", "middle", tick.label);
  }
  return svg + svg_text(size.plot_right(), size.height - 5, "title", "end", axis.title);
}

std::string draw_frame(const FrameSize& size, Scale& x, const Axis& x_axis, Scale& y, const Axis& y_axis) {
  x.place(size.left, size.plot_right());
  y.place(size.plot_bottom(), size.top);
  std::string svg;
  for (const Tick& tick : y.ticks()) {
    const double place = y.at(tick.value);
    svg += svg_line(size.left, place, size.plot_right(), place, "grid");
    svg += svg_text(size.left - 6, place + 4, "tick", "end", tick.label);
  }
  svg += svg_line(size.left, size.plot_bottom(), size.plot_right(), size.plot_bottom(), "axis");
  for (const Tick& tick : x.ticks()) {
    const double place = x.at(tick.value);
    svg += svg_line(place, size.plot_bottom(), place, size.plot_bottom() + 4, "axis");
    // A label at the end must not be cut off.
    const double half = text_width(tick.label) / 2;
    const double middle = std::min(place, size.width - half - 1);
    svg += svg_text(middle, size.plot_bottom() + 17, "tick", "middle", tick.label);
  }
  svg += svg_text(2, 13, "title", "start", y_axis.title);
  return svg + svg_text(size.plot_right(), size.height - 4, "title", "end", x_axis.title);
}

std::string empty_chart(const std::string& summary) {
  FrameSize size;
  size.height = 60;
  return open_chart(size, summary) + svg_text(size.width / 2, 34, "title", "middle", "nothing was recorded") + "</svg>";
}

}  // namespace txtsum::app
