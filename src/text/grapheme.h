#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace txtsum::text {

/// What a character is to the rules of extended grapheme clusters (UAX 29). A consonant and a linker are those of
/// Indic conjuncts; kExtendOnly is the rest of Extend, which ends a conjunct.
enum class GraphemeClass : uint8_t {
  kOther,
  kCr,
  kLf,
  kControl,
  kExtend,
  kExtendOnly,
  kLinker,
  kJoiner,
  kRegional,
  kPrepend,
  kSpacingMark,
  kLeading,
  kVowel,
  kTrailing,
  kSyllable,
  kPictographic,
  kConsonant,
};

/// Runs of code points of one class, in ascending order: first code point << 5 | GraphemeClass. Hangul syllables are
/// one run. It is Unicode 17.0, as in Hugging Face `tokenizers` 0.23.3, whatever the distribution's libraries know.
extern const uint32_t kGraphemeClassRuns[];
extern const size_t kGraphemeClassRunCount;

/// End of the extended grapheme cluster that starts at `text[start]`. `text` must be well-formed UTF-8, and `start`
/// less than text.size() and the end of the cluster before, or 0.
size_t grapheme_end(std::string_view text, size_t start);

}  // namespace txtsum::text
