#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/unicode_classes.h"

namespace txtsum::text {
namespace {

bool is_own_symbol(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

// All symbols are below U+0144: one or two bytes of UTF-8.
std::string two_byte_utf8(int code_point) {
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

struct Alphabet {
  std::array<std::string, 256> symbols;
  /// Byte of each code point; -1 where the code point is no symbol.
  std::array<int16_t, 0x200> bytes;

  Alphabet() {
    bytes.fill(-1);
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const int code_point = is_own_symbol(byte) ? byte : next++;
      symbols[byte] = two_byte_utf8(code_point);
      bytes[code_point] = static_cast<int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

bool is_continuation(std::string_view bytes, size_t position, uint8_t low, uint8_t high) {
  if (position >= bytes.size()) return false;
  const uint8_t byte = static_cast<uint8_t>(bytes[position]);
  return byte >= low && byte <= high;
}

// Bytes of the maximal subpart of a well-formed character at an ill-formed position (Unicode 16, table 3-7).
size_t ill_formed_length(std::string_view bytes, size_t position) {
  const uint8_t lead = static_cast<uint8_t>(bytes[position]);
  if (lead < 0xE0 || lead > 0xF4) return 1;
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!is_continuation(bytes, position + 1, low, high)) return 1;
  if (lead < 0xF0 || !is_continuation(bytes, position + 2, 0x80, 0xBF)) return 2;
  return 3;
}

}  // namespace

const std::string& byte_symbol(unsigned char byte) { return alphabet().symbols[byte]; }

std::string to_byte_symbols(std::string_view bytes) {
  std::string token;
  for (const char byte : bytes) token += byte_symbol(static_cast<unsigned char>(byte));
  return token;
}

std::string from_byte_symbols(std::string_view token) {
  std::string bytes;
  for (size_t position = 0; position < token.size();) {
    uint32_t code_point = 0;
    const size_t length = decode_utf8(token, position, &code_point);
    const int byte = length != 0 && code_point < 0x200 ? alphabet().bytes[code_point] : -1;
    if (byte < 0) return std::string(token);
    bytes.push_back(static_cast<char>(byte));
    position += length;
  }
  return bytes;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t position = 0; position < bytes.size();) {
    uint32_t code_point = 0;
    const size_t length = decode_utf8(bytes, position, &code_point);
    if (length != 0) {
      text.append(bytes, position, length);
      position += length;
    } else {
      text += "\xEF\xBF\xBD";
      position += ill_formed_length(bytes, position);
    }
  }
  return text;
}

}  // namespace txtsum::text
