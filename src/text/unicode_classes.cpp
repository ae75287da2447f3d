#include "text/unicode_classes.h"

#include <vector>

namespace txtsum::text {
namespace {

constexpr uint32_t kCodePoints = 0x110000;

// One byte a code point, CharClass << 1 | is_word: 1.1 MB, of which a text touches a few pages.
const uint8_t* kind_table() {
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> kinds(kCodePoints);
    for (size_t run = 0; run < kUnicodeClassRunCount; ++run) {
      const uint32_t first = kUnicodeClassRuns[run] >> 3;
      const uint32_t end = run + 1 < kUnicodeClassRunCount ? kUnicodeClassRuns[run + 1] >> 3 : kCodePoints;
      for (uint32_t c = first; c < end; ++c) kinds[c] = static_cast<uint8_t>(kUnicodeClassRuns[run] & 7);
    }
    return kinds;
  }();
  return table.data();
}

Character character_of(uint32_t code_point, size_t length) {
  const uint8_t kind = kind_table()[code_point];
  return {static_cast<CharClass>(kind >> 1), (kind & 1) != 0, static_cast<uint8_t>(length)};
}

}  // namespace

size_t decode_utf8(std::string_view text, size_t position, uint32_t* code_point) {
  const auto byte = [&](size_t offset) { return static_cast<uint8_t>(text[position + offset]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    *code_point = lead;
    return 1;
  }
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - position < length) return 0;
  uint32_t value = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value >= kCodePoints || (value >= 0xD800 && value <= 0xDFFF)) return 0;
  *code_point = value;
  return length;
}

Character read_character(std::string_view text, size_t position) {
  uint32_t code_point = 0;
  const size_t length = decode_utf8(text, position, &code_point);
  if (length == 0) return {CharClass::kOther, false, 1};
  return character_of(code_point, length);
}

Character read_character_before(std::string_view text, size_t end) {
  for (size_t length = 1; length <= 4 && length <= end; ++length) {
    if ((static_cast<uint8_t>(text[end - length]) & 0xC0) == 0x80) continue;
    uint32_t code_point = 0;
    if (decode_utf8(text.substr(0, end), end - length, &code_point) == length) return character_of(code_point, length);
    break;
  }
  return {CharClass::kOther, false, 1};
}

}  // namespace txtsum::text
