#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace txtsum::text {

/// What a character is to the GPT-2 pattern: \p{L}, \p{N}, \s, or none of them.
enum class CharClass : uint8_t { kLetter = 0, kNumber = 1, kSpace = 2, kOther = 3 };

/// Runs of code points of one kind, in ascending order: first code point << 3 | CharClass << 1 | whether it is \w.
/// The table is in the repository so that ids do not depend on the Unicode version of a distribution's library. It was
/// read off Hugging Face `tokenizers` itself (Unicode 16.0).
extern const uint32_t kUnicodeClassRuns[];
extern const size_t kUnicodeClassRunCount;

/// One character at the head of a text. A byte that starts no well-formed UTF-8 character is a character of its own, of
/// class kOther and not \w.
struct Character {
  CharClass char_class;
  bool is_word;
  /// Bytes: 1 to 4.
  uint8_t length;
};

/// Reads the character that starts at `text[position]`; `position` must be less than text.size().
Character read_character(std::string_view text, size_t position);

/// Reads the character that ends just before `text[end]`; `end` must be positive and a character boundary.
Character read_character_before(std::string_view text, size_t end);

/// Length of the well-formed UTF-8 character at `text[position]` and its code point; length 0 when there is none.
size_t decode_utf8(std::string_view text, size_t position, uint32_t* code_point);

}  // namespace txtsum::text
