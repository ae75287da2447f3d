#include "txtsum/app/number_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "txtsum/app/table.h"

namespace txtsum::app {

std::string fixed(double value, int decimals, bool with_sign) {
  char text[400];
  std::snprintf(text, sizeof(text), with_sign ? "%+.*f" : "%.*f", decimals, value);
  return text;
}

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return "not a number";
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size < 1e-6) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    return text;
  }
  const int decimals = std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(size))));
  if (decimals == 0 && size < 1e15) return with_separators(std::llround(value));
  return fixed(value, decimals);
}

std::string bytes_text(double bytes) {
  constexpr double kMib = 1024.0 * 1024.0;
  constexpr double kGib = 1024.0 * kMib;
  return bytes < kGib ? significant(bytes / kMib) + " MiB" : significant(bytes / kGib) + " GiB";
}

namespace {

std::string plain_text(double value, const std::string& unit) {
  if (unit == "s") return format_duration(value);
  if (unit == "bytes") return bytes_text(value);
  return significant(value) + " " + unit;
}

std::string at_least(const metrics::Figure& figure) { return figure.lower_bound ? "at least " : ""; }

}  // namespace

std::string value_text(const metrics::Figure& figure) {
  return figure.known() ? at_least(figure) + plain_text(*figure.value, figure.unit) : "missing";
}

std::string signed_value_text(const metrics::Figure& figure) {
  if (!figure.known()) return "missing";
  const std::string sign = *figure.value > 0 ? "+" : *figure.value < 0 ? "-" : "";
  return at_least(figure) + sign + plain_text(std::abs(*figure.value), figure.unit);
}

}  // namespace txtsum::app
