#include "text/pre_tokenizer.h"

#include <array>

#include "text/unicode_classes.h"

namespace txtsum::text {
namespace {

constexpr uint8_t kNotAscii = 255;

// Class of each byte below 128: most text needs nothing more.
const std::array<uint8_t, 256>& byte_classes() {
  static const std::array<uint8_t, 256> classes = [] {
    std::array<uint8_t, 256> table{};
    for (int byte = 0; byte < 256; ++byte) {
      const char text = static_cast<char>(byte);
      table[byte] = byte < 128 ? static_cast<uint8_t>(read_character({&text, 1}, 0).char_class) : kNotAscii;
    }
    return table;
  }();
  return classes;
}

// Length of the contraction that starts at the apostrophe `text[start]`; 0 when there is none.
size_t contraction_length(std::string_view text, size_t start) {
  const char first = start + 1 < text.size() ? text[start + 1] : '\0';
  const char second = start + 2 < text.size() ? text[start + 2] : '\0';
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l')) return 3;
  return 0;
}

// End of the longest run of `char_class` from `position` on.
size_t run_end(std::string_view text, size_t position, CharClass char_class) {
  const auto& classes = byte_classes();
  while (position < text.size()) {
    const uint8_t known = classes[static_cast<uint8_t>(text[position])];
    if (known != kNotAscii) {
      if (known != static_cast<uint8_t>(char_class)) break;
      ++position;
      continue;
    }
    const Character character = read_character(text, position);
    if (character.char_class != char_class) break;
    position += character.length;
  }
  return position;
}

}  // namespace

size_t word_end(std::string_view text, size_t start) {
  if (text[start] == '\'') {
    if (const size_t length = contraction_length(text, start)) return start + length;
  }
  const size_t body = start + (text[start] == ' ' ? 1 : 0);
  if (body < text.size()) {
    const Character first = read_character(text, body);
    if (first.char_class != CharClass::kSpace) return run_end(text, body + first.length, first.char_class);
  }
  const size_t end = run_end(text, start, CharClass::kSpace);
  if (end == text.size()) return end;
  // `\s+(?!\S)` gives one space back to what follows, unless it is the only one.
  const size_t shorter = end - read_character_before(text, end).length;
  return shorter > start ? shorter : end;
}

}  // namespace txtsum::text
