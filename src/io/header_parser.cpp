#include "header_parser.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "dtype.h"
#include "txtsum/core/error.h"

namespace txtsum::io {
namespace {

constexpr uint64_t kPrefixBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr uint64_t kMaxInt64 = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

[[noreturn]] void fail(const std::string& path, uint64_t offset, const std::string& wanted, const std::string& found) {
  throw core::DataError(path + ": not a valid safetensors file: byte " + std::to_string(offset) + ": wanted " + wanted +
                        ", found " + found);
}

/// Reads the few JSON forms that a safetensors header consists of, and knows at which byte of the file it stands.
class Cursor {
 public:
  Cursor(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  uint64_t offset() const { return kPrefixBytes + at_; }
  [[noreturn]] void fail_here(const std::string& wanted) { fail(path_, offset(), wanted, describe_here()); }
  [[noreturn]] void fail_at(uint64_t offset, const std::string& wanted, const std::string& found) {
    fail(path_, offset, wanted, found);
  }

  void skip_space() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) != nullptr && text_[at_] != '\0') ++at_;
  }
  bool at_end() const { return at_ == text_.size(); }
  bool take(char wanted) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!take(wanted)) fail_here(std::string("'") + wanted + "'");
  }

  std::string string() {
    skip_space();
    const size_t begin = at_;
    if (at_ == text_.size() || text_[at_] != '"') fail_here("a string");
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_, text_.size());
    if (at_ == text_.size()) fail_here("the end of a string");
    ++at_;
    try {
      return nlohmann::json::parse(text_.substr(begin, at_ - begin)).get<std::string>();
    } catch (const nlohmann::json::parse_error&) {
      fail_at(kPrefixBytes + begin, "a string of valid UTF-8 and escapes", "another sequence of bytes");
    }
  }

  uint64_t integer() {
    skip_space();
    const size_t begin = at_;
    uint64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      const auto digit = static_cast<uint64_t>(text_[at_] - '0');
      if (value > (kMaxInt64 - digit) / 10) {
        fail_at(kPrefixBytes + begin, "an integer below 2^63", std::string(text_.substr(begin, 24)));
      }
      value = value * 10 + digit;
      ++at_;
    }
    const bool leading_zero = at_ - begin > 1 && text_[begin] == '0';
    if (at_ == begin || leading_zero) {
      at_ = begin;
      fail_here("an integer of at least 0");
    }
    return value;
  }

  std::vector<uint64_t> integers() {
    std::vector<uint64_t> values;
    expect('[');
    if (take(']')) return values;
    do {
      values.push_back(integer());
    } while (take(','));
    expect(']');
    return values;
  }

  /// Calls member(key, offset of the key) for each member of an object; `member` reads the value.
  template <typename Member>
  void object(Member member) {
    expect('{');
    if (take('}')) return;
    do {
      skip_space();
      const uint64_t key_offset = offset();
      const std::string key = string();
      expect(':');
      member(key, key_offset);
    } while (take(','));
    expect('}');
  }

 private:
  std::string describe_here() const {
    if (at_ >= text_.size()) return "the end of the header";
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte >= 0x20 && byte < 0x7f) return std::string("'") + text_[at_] + "'";
    return "byte value " + std::to_string(byte);
  }

  const std::string& path_;
  std::string_view text_;
  size_t at_ = 0;
};

/// An entry with the place of its name in the file; its range still counts from the start of the data.
struct PlacedEntry {
  TensorEntry entry;
  uint64_t offset;
};

std::string shape_text(const std::vector<uint64_t>& shape) {
  std::string text = "[";
  for (const uint64_t size : shape) {
    if (text.size() > 1) text += ',';
    text += std::to_string(size);
  }
  return text + "]";
}

/// Bytes that a tensor of this shape takes. Sizes of 0 count as 1 while checking for overflow, since strides count them
/// so.
uint64_t checked_bytes(Cursor& cursor, uint64_t offset, const std::string& name, const std::vector<uint64_t>& shape,
                       const Dtype& dtype) {
  uint64_t bits = static_cast<uint64_t>(dtype.bits);
  bool empty = false;
  for (const uint64_t size : shape) {
    empty = empty || size == 0;
    if (size != 0 && __builtin_mul_overflow(bits, size, &bits)) {
      cursor.fail_at(offset, "a shape whose size fits in 64 bits for tensor '" + name + "'", shape_text(shape));
    }
  }
  if (empty) return 0;
  if (bits % 8 != 0) {
    cursor.fail_at(offset, "a whole number of bytes for tensor '" + name + "'", std::to_string(bits) + " bits");
  }
  return bits / 8;
}

/// The three members of a tensor as they are read; bit k of `seen` says that member k was there.
struct RawEntry {
  std::string dtype;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> range;
  unsigned seen = 0;
};

RawEntry read_raw_entry(Cursor& cursor, const std::string& name) {
  static constexpr std::array<std::string_view, 3> kKeys = {"dtype", "shape", "data_offsets"};
  RawEntry raw;
  cursor.object([&](const std::string& key, uint64_t key_offset) {
    const auto place = static_cast<size_t>(std::find(kKeys.begin(), kKeys.end(), key) - kKeys.begin());
    if (place == kKeys.size()) {
      cursor.fail_at(key_offset, "dtype, shape or data_offsets in tensor '" + name + "'", "'" + key + "'");
    }
    if ((raw.seen >> place & 1u) != 0) {
      cursor.fail_at(key_offset, "each key once in tensor '" + name + "'", "'" + key + "' again");
    }
    raw.seen |= 1u << place;
    if (place == 0) raw.dtype = cursor.string();
    if (place == 1) raw.shape = cursor.integers();
    if (place == 2) raw.range = cursor.integers();
  });
  return raw;
}

TensorEntry read_entry(Cursor& cursor, const std::string& name, uint64_t offset) {
  const RawEntry raw = read_raw_entry(cursor, name);
  if (raw.seen != 7) cursor.fail_at(offset, "dtype, shape and data_offsets in tensor '" + name + "'", "fewer");
  const Dtype* dtype = find_dtype(raw.dtype);
  if (dtype == nullptr) cursor.fail_at(offset, "a known dtype for tensor '" + name + "'", "'" + raw.dtype + "'");
  if (raw.range.size() != 2 || raw.range[0] > raw.range[1]) {
    cursor.fail_at(offset, "data_offsets [begin, end] for tensor '" + name + "'", shape_text(raw.range));
  }
  const uint64_t bytes = checked_bytes(cursor, offset, name, raw.shape, *dtype);
  if (raw.range[1] - raw.range[0] != bytes) {
    cursor.fail_at(offset,
                   std::to_string(bytes) + " bytes for tensor '" + name + "' of type " + raw.dtype + " and shape " +
                       shape_text(raw.shape),
                   std::to_string(raw.range[1] - raw.range[0]));
  }
  return {name, raw.dtype, {raw.shape.begin(), raw.shape.end()}, raw.range[0], raw.range[1]};
}

SafetensorsMetadata read_metadata(Cursor& cursor) {
  SafetensorsMetadata metadata;
  cursor.object([&](const std::string& key, uint64_t key_offset) {
    if (!metadata.emplace(key, cursor.string()).second) {
      cursor.fail_at(key_offset, "each key once in __metadata__", "'" + key + "' again");
    }
  });
  return metadata;
}

/// Sorts entries by their bytes and checks that these cover the data exactly.
void check_coverage(const std::string& path, std::vector<PlacedEntry>& placed, uint64_t data_bytes) {
  std::stable_sort(placed.begin(), placed.end(), [](const PlacedEntry& a, const PlacedEntry& b) {
    return std::pair(a.entry.begin, a.entry.end) < std::pair(b.entry.begin, b.entry.end);
  });
  uint64_t next = 0;
  for (const PlacedEntry& item : placed) {
    if (item.entry.begin != next) {
      fail(path, item.offset,
           "tensor '" + item.entry.name + "' to begin at data offset " + std::to_string(next) +
               " (no holes, no overlaps)",
           std::to_string(item.entry.begin));
    }
    next = item.entry.end;
  }
  if (next != data_bytes) {
    const uint64_t offset = placed.empty() ? kPrefixBytes : placed.back().offset;
    fail(path, offset, std::to_string(next) + " bytes of data after the header", std::to_string(data_bytes));
  }
}

uint64_t read_header_length(const std::string& path, std::string_view file) {
  if (file.size() < kPrefixBytes) {
    fail(path, file.size(), "8 bytes of header length", "a file of " + std::to_string(file.size()) + " bytes");
  }
  uint64_t length = 0;
  for (size_t i = kPrefixBytes; i > 0; --i) length = length << 8 | static_cast<unsigned char>(file[i - 1]);
  if (length > kMaxHeaderBytes) {
    fail(path, 0, "a header length of at most " + std::to_string(kMaxHeaderBytes), std::to_string(length));
  }
  if (length > file.size() - kPrefixBytes) {
    fail(path, 0,
         "a header length of at most " + std::to_string(file.size() - kPrefixBytes) + " in a file of " +
             std::to_string(file.size()) + " bytes",
         std::to_string(length));
  }
  return length;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view file) {
  const uint64_t length = read_header_length(path, file);
  Cursor cursor(path, file.substr(kPrefixBytes, length));
  if (length == 0 || file[kPrefixBytes] != '{') cursor.fail_here("'{'");

  SafetensorsHeader header;
  std::vector<PlacedEntry> placed;
  std::unordered_set<std::string> names;
  cursor.object([&](const std::string& name, uint64_t offset) {
    if (!names.insert(name).second) cursor.fail_at(offset, "each name once", "'" + name + "' again");
    if (name == "__metadata__") {
      header.metadata = read_metadata(cursor);
    } else {
      placed.push_back({read_entry(cursor, name, offset), offset});
    }
  });
  cursor.skip_space();
  if (!cursor.at_end()) cursor.fail_here("only spaces after the header's object");

  const uint64_t data_begin = kPrefixBytes + length;
  check_coverage(path, placed, file.size() - data_begin);
  header.entries.reserve(placed.size());
  for (PlacedEntry& item : placed) {
    item.entry.begin += data_begin;
    item.entry.end += data_begin;
    header.entries.push_back(std::move(item.entry));
  }
  return header;
}

}  // namespace txtsum::io
