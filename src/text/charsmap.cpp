#include "text/charsmap.h"

#include "text/byte_alphabet.h"
#include "text/grapheme.h"
#include "text/unicode_classes.h"
#include "txtsum/core/error.h"

namespace txtsum::text {
namespace {

constexpr size_t kLongestWhole = 5;

// Fields of a unit of the double array.
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
uint32_t offset(uint32_t unit) { return (unit >> 10) << ((unit & 1u << 9) >> 6); }

uint32_t little_endian(std::string_view bytes, size_t position) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[position + i])) << 8 * i;
  return value;
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& path) {
  if (bytes.empty()) return;
  const size_t size = bytes.size() < 4 ? 0 : little_endian(bytes, 0);
  if (size < 4 || size % 4 != 0 || size > bytes.size() - 4) {
    throw core::DataError(path + ": precompiled_charsmap has " + std::to_string(bytes.size()) +
                          " bytes and says that its table has " + std::to_string(size) +
                          "; the file is damaged: copy it again from where the model came from");
  }
  for (size_t i = 0; i < size; i += 4) units_.push_back(little_endian(bytes, 4 + i));
  replacements_ = to_valid_utf8(bytes.substr(4 + size));
  if (replacements_.size() != bytes.size() - 4 - size) {
    throw core::DataError(path + ": precompiled_charsmap holds text that is not UTF-8; the file is damaged: copy it " +
                          "again from where the model came from");
  }
}

bool Charsmap::find(std::string_view chunk, std::string_view* replacement) const {
  // A damaged table may point anywhere: what lies beyond its end matches nothing.
  size_t node = offset(units_[0]);
  for (const char c : chunk) {
    const auto byte = static_cast<uint8_t>(c);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label(units_[node]) != byte) return false;
    const uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!has_leaf(unit)) continue;
    const size_t start = node < units_.size() ? units_[node] & 0x7FFFFFFF : replacements_.size();
    if (start >= replacements_.size()) return false;
    const size_t end = replacements_.find('\0', start);
    *replacement = std::string_view(replacements_).substr(start, end - start);
    return true;
  }
  return false;
}

std::string Charsmap::normalize(std::string_view text) const {
  if (units_.empty()) return std::string(text);
  std::string result;
  result.reserve(text.size());
  const auto append = [&](std::string_view chunk) {
    std::string_view replacement;
    const bool found = find(chunk, &replacement);
    if (found) result += replacement;
    return found;
  };
  for (size_t start = 0; start < text.size();) {
    const size_t end = grapheme_end(text, start);
    if (end - start > kLongestWhole || !append(text.substr(start, end - start))) {
      for (size_t position = start; position < end;) {
        uint32_t code_point = 0;
        const std::string_view character = text.substr(position, decode_utf8(text, position, &code_point));
        if (!append(character)) result += character;
        position += character.size();
      }
    }
    start = end;
  }
  return result;
}

}  // namespace txtsum::text
