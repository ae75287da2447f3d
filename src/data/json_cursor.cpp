#include "json_cursor.h"

#include <algorithm>

namespace txtsum::data {
namespace {

/// Offset after the string whose opening quote is at `at`; npos when it is never closed.
size_t end_of_string(std::string_view text, size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return std::string_view::npos;
}

/// Offset after the object or array whose bracket is at `at`; npos when it is never closed.
size_t end_of_brackets(std::string_view text, size_t at) {
  int64_t depth = 0;
  while ((at = text.find_first_of("\"[]{}", at)) != std::string_view::npos) {
    if (text[at] == '"') {
      at = end_of_string(text, at);
      if (at == std::string_view::npos) return at;
      continue;
    }
    depth += text[at] == '[' || text[at] == '{' ? 1 : -1;
    ++at;
    if (depth == 0) return at;
  }
  return at;
}

}  // namespace

void JsonCursor::skip_space() {
  for (; !at_end(); ++at_) {
    const char letter = text_[at_];
    if (letter == '\n') {
      ++line_;
    } else if (letter != ' ' && letter != '\t' && letter != '\r') {
      return;
    }
  }
}

bool JsonCursor::take(char letter) {
  if (at_end() || here() != letter) return false;
  ++at_;
  skip_space();
  return true;
}

std::optional<std::string_view> JsonCursor::take_value() {
  size_t end;
  if (here() == '"') {
    end = end_of_string(text_, at_);
  } else if (here() == '{' || here() == '[') {
    end = end_of_brackets(text_, at_);
  } else {
    end = std::min(text_.find_first_of(" \t\r\n,:\"[]{}", at_), text_.size());
  }
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view value = text_.substr(at_, end - at_);
  line_ += std::count(value.begin(), value.end(), '\n');
  at_ = end;
  return value;
}

}  // namespace txtsum::data
