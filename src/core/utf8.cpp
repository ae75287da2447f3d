#include "txtsum/core/utf8.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace txtsum::core {
namespace {

/// Length of the character at the front of `text`; 0 where it is not well-formed (Unicode 15, table 3-7).
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const int first = byte(0), second = byte(1);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && second < 0xA0, surrogate = first == 0xED && second > 0x9F;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && second < 0x90, beyond = first == 0xF4 && second > 0x8F;
    return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

}  // namespace

size_t valid_utf8_bytes(std::string_view text) {
  size_t valid = 0;
  while (const size_t bytes = character_bytes(text.substr(valid))) valid += bytes;
  return valid;
}

std::string printable_utf8(std::string_view text) {
  std::string result;
  while (true) {
    const size_t valid = valid_utf8_bytes(text);
    result.append(text.substr(0, valid));
    if (valid == text.size()) return result;
    std::array<char, 8> escape{};
    std::snprintf(escape.data(), escape.size(), "\\x%02X", static_cast<unsigned>(static_cast<uint8_t>(text[valid])));
    result.append(escape.data());
    text.remove_prefix(valid + 1);
  }
}

}  // namespace txtsum::core
