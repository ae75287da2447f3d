#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace txtsum::app {

/// A text table of aligned columns: the table of resolved settings at the start of a run, the table of what is frozen.
/// Widths count code points of UTF-8. Lines carry no trailing blanks.
class Table {
 public:
  enum class Align { kLeft, kRight };

  /// `headings` may be empty (no heading line); `alignments` may be shorter than a row, the rest is left-aligned.
  explicit Table(std::vector<std::string> headings = {}, std::vector<Align> alignments = {});

  /// Adds a line. A row may have fewer cells than others; a line break in a cell continues the cell on the next line.
  void add_row(std::vector<std::string> cells);

  /// Adds a title of its own line; the rows below it are indented by two blanks.
  void add_section(std::string title);

  /// The whole table, each line ending in a newline.
  std::string text() const;

 private:
  struct Line {
    std::vector<std::string> cells;
    bool is_section = false;
  };

  std::string format_row(const std::vector<std::string>& cells, const std::vector<size_t>& widths) const;

  std::vector<std::string> headings_;
  std::vector<Align> alignments_;
  std::vector<Line> lines_;
  bool has_sections_ = false;
};

/// Formats an integer with a comma between groups of three digits: 1234567 -> `1,234,567`.
std::string with_separators(long long value);

/// Formats a span of time in its two largest units: `0.4 s`, `35 s`, `4 min 05 s`, `3 h 20 min`, `2 d 04 h`.
std::string format_duration(double seconds);

/// Number of code points of `text`, which is its width on a terminal for the scripts that we print.
size_t display_width(std::string_view text);

}  // namespace txtsum::app
