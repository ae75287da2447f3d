#include "txtsum/app/table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace txtsum::app {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kIndent = 2;

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(text.substr(begin, end - begin));
  }
  lines.push_back(text.substr(begin));
  return lines;
}

void trim_right(std::string& line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
}

}  // namespace

Table::Table(std::vector<std::string> headings, std::vector<Align> alignments)
    : headings_(std::move(headings)), alignments_(std::move(alignments)) {}

void Table::add_row(std::vector<std::string> cells) { lines_.push_back({std::move(cells), false}); }

void Table::add_section(std::string title) {
  has_sections_ = true;
  lines_.push_back({{std::move(title)}, true});
}

std::string Table::format_row(const std::vector<std::string>& cells, const std::vector<size_t>& widths) const {
  std::vector<std::vector<std::string>> columns;
  size_t height = 1;
  for (const std::string& cell : cells) {
    columns.push_back(split_lines(cell));
    height = std::max(height, columns.back().size());
  }
  std::string text;
  for (size_t row = 0; row < height; ++row) {
    std::string line(has_sections_ ? kIndent : 0, ' ');
    for (size_t column = 0; column < columns.size(); ++column) {
      const std::string part = row < columns[column].size() ? columns[column][row] : "";
      const std::string padding(widths[column] - display_width(part), ' ');
      const bool right = column < alignments_.size() && alignments_[column] == Align::kRight;
      line += right ? padding + part : part + padding;
      line.append(kGap, ' ');
    }
    trim_right(line);
    text += line + "\n";
  }
  return text;
}

std::string Table::text() const {
  std::vector<size_t> widths;
  const auto widen = [&](const std::vector<std::string>& cells) {
    widths.resize(std::max(widths.size(), cells.size()), 0);
    for (size_t column = 0; column < cells.size(); ++column) {
      for (const std::string& part : split_lines(cells[column])) {
        widths[column] = std::max(widths[column], display_width(part));
      }
    }
  };
  widen(headings_);
  for (const Line& line : lines_) {
    if (!line.is_section) widen(line.cells);
  }
  std::string text;
  if (!headings_.empty()) {
    std::vector<std::string> rules;
    for (const size_t width : widths) rules.emplace_back(width, '-');
    text += format_row(headings_, widths) + format_row(rules, widths);
  }
  for (const Line& line : lines_) {
    text += line.is_section ? line.cells[0] + "\n" : format_row(line.cells, widths);
  }
  return text;
}

std::string with_separators(long long value) {
  std::string text = std::to_string(value);
  const size_t first = value < 0 ? 1 : 0;
  for (size_t end = text.size(); end > first + 3; end -= 3) text.insert(end - 3, 1, ',');
  return text;
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  char text[48];
  if (seconds < 9.95) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
    return text;
  }
  const long long whole = std::llround(seconds);
  constexpr long long kMinute = 60, kHour = 3600, kDay = 86400;
  if (whole < kMinute) {
    std::snprintf(text, sizeof text, "%lld s", whole);
  } else if (whole < kHour) {
    std::snprintf(text, sizeof text, "%lld min %02lld s", whole / kMinute, whole % kMinute);
  } else if (whole < kDay) {
    std::snprintf(text, sizeof text, "%lld h %02lld min", whole / kHour, whole % kHour / kMinute);
  } else {
    std::snprintf(text, sizeof text, "%lld d %02lld h", whole / kDay, whole % kDay / kHour);
  }
  return text;
}

size_t display_width(std::string_view text) {
  // Every byte but UTF-8's continuation bytes starts a code point.
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace txtsum::app
