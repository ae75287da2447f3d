#include "txtsum/app/html_text.h"

#include <cstdint>

namespace txtsum::app {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kWhiteSpace = " \t\n\r\f\v";

/// Bytes of the code point at the start of `text`; 0 where there is none: a stray or overlong byte, a surrogate, a
/// value beyond Unicode.
size_t code_point_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

/// HTML allows of the control characters white space alone.
bool is_allowed(std::string_view character) {
  const auto c = static_cast<unsigned char>(character.front());
  return (c >= 0x20 && c != 0x7F) || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

std::string_view entity_of(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return "";
  }
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string html;
  html.reserve(text.size() + text.size() / 8);
  for (size_t at = 0; at < text.size();) {
    const size_t length = code_point_length(text.substr(at));
    const std::string_view character = text.substr(at, length);
    at += length == 0 ? 1 : length;
    if (length == 0 || !is_allowed(character)) {
      html.append(kReplacement);
      continue;
    }
    const std::string_view entity = entity_of(character.front());
    html.append(entity.empty() ? character : entity);
  }
  return html;
}

std::string element(std::string_view name, std::string_view attributes, std::string_view content) {
  std::string html("<");
  html.append(name);
  if (!attributes.empty()) html.append(" ").append(attributes);
  return html.append(">").append(content).append("</").append(name).append(">");
}

std::string beginning_of(std::string_view text, size_t characters) {
  const size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return "";
  text = text.substr(first, text.find_last_not_of(kWhiteSpace) + 1 - first);
  size_t end = 0;
  for (size_t count = 0; end < text.size() && count < characters; ++count) {
    const size_t length = code_point_length(text.substr(end));
    end += length == 0 ? 1 : length;
  }
  if (end >= text.size()) return std::string(text);
  // A language that puts no blanks between words is cut between characters.
  const size_t blank = text.substr(0, end + 1).find_last_of(kWhiteSpace);
  if (blank != std::string_view::npos && blank > end / 2) end = blank;
  std::string cut(text.substr(0, end));
  return cut.substr(0, cut.find_last_not_of(kWhiteSpace) + 1) + "\xE2\x80\xA6";
}

}  // namespace txtsum::app
