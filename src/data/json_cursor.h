#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace txtsum::data {

/// A place in a JSON text that goes forward from value to value without building them, so that a document of any size
/// is read row by row. It finds where values end by their quotes and brackets; whether they are valid is for a parser.
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text, size_t at) : text_(text), at_(at) {}

  bool at_end() const { return at_ == text_.size(); }
  /// The character here; '\0' at the end.
  char here() const { return at_end() ? '\0' : text_[at_]; }
  int64_t line() const { return line_; }
  void skip_space();
  /// Goes past `letter` and the space behind it, if it is here.
  bool take(char letter);
  /// Goes past the value that begins here; empty where none does. Nothing when the text ends within it: the cursor
  /// then stays.
  std::optional<std::string_view> take_value();

 private:
  std::string_view text_;
  size_t at_;
  int64_t line_ = 1;
};

}  // namespace txtsum::data
