#include "text/grapheme.h"

#include <algorithm>

#include "text/unicode_classes.h"

namespace txtsum::text {
namespace {

using Class = GraphemeClass;

// Class of a character; kSyllable is told apart by `has_trailing`: a syllable with a final consonant (LVT) or not (LV).
struct Element {
  Class kind;
  bool has_trailing;
};

Element element_of(uint32_t code_point) {
  const uint32_t* end = kGraphemeClassRuns + kGraphemeClassRunCount;
  const uint32_t* run = std::upper_bound(kGraphemeClassRuns, end, code_point << 5 | 31) - 1;
  const auto kind = static_cast<Class>(*run & 31);
  return {kind, kind == Class::kSyllable && (code_point - 0xAC00) % 28 != 0};
}

bool is_break_by_itself(Class kind) { return kind == Class::kControl || kind == Class::kCr || kind == Class::kLf; }

bool extends(Class kind) { return kind == Class::kExtend || kind == Class::kExtendOnly || kind == Class::kLinker; }

// GB6 to GB8: the parts of a Hangul syllable.
bool joins_hangul(const Element& before, const Element& after) {
  switch (before.kind) {
    case Class::kLeading:
      return after.kind == Class::kLeading || after.kind == Class::kVowel || after.kind == Class::kSyllable;
    case Class::kVowel:
      return after.kind == Class::kVowel || after.kind == Class::kTrailing;
    case Class::kSyllable:
      return after.kind == Class::kTrailing || (after.kind == Class::kVowel && !before.has_trailing);
    case Class::kTrailing:
      return after.kind == Class::kTrailing;
    default:
      return false;
  }
}

// What the rules need to know of the cluster so far.
class Cluster {
 public:
  explicit Cluster(const Element& first) { add(first); }

  void add(const Element& element) {
    const Class kind = element.kind;
    const bool joiner_of_picture = kind == Class::kJoiner && picture_;
    picture_ = kind == Class::kPictographic || (picture_ && extends(kind));
    joined_picture_ = joiner_of_picture;
    if (kind == Class::kConsonant) {
      conjunct_ = true;
      linked_ = false;
    } else {
      conjunct_ = conjunct_ && (kind == Class::kExtend || kind == Class::kLinker || kind == Class::kJoiner);
      linked_ = conjunct_ && (linked_ || kind == Class::kLinker);
    }
    odd_flags_ = kind == Class::kRegional && !odd_flags_;
    last_ = element;
  }

  // Rules GB3 to GB13 in their order.
  bool takes(const Element& next) const {
    if (last_.kind == Class::kCr && next.kind == Class::kLf) return true;
    if (is_break_by_itself(last_.kind) || is_break_by_itself(next.kind)) return false;
    if (joins_hangul(last_, next)) return true;
    if (extends(next.kind) || next.kind == Class::kJoiner || next.kind == Class::kSpacingMark) return true;
    if (last_.kind == Class::kPrepend) return true;
    if (next.kind == Class::kConsonant) return linked_;
    if (next.kind == Class::kPictographic) return joined_picture_;
    return next.kind == Class::kRegional && last_.kind == Class::kRegional && odd_flags_;
  }

 private:
  Element last_{Class::kOther, false};
  bool picture_ = false;         // a pictograph and what extends it
  bool joined_picture_ = false;  // and a joiner
  bool conjunct_ = false;        // a consonant and what extends it
  bool linked_ = false;          // with a linker among it
  bool odd_flags_ = false;       // an odd number of regional indicators
};

}  // namespace

size_t grapheme_end(std::string_view text, size_t start) {
  uint32_t code_point = 0;
  size_t end = start + decode_utf8(text, start, &code_point);
  // Most text needs nothing more.
  const auto plain = [&](size_t position) { return text[position] >= ' ' && text[position] <= '~'; };
  if (end == text.size() || (plain(start) && plain(end))) return end;
  Cluster cluster(element_of(code_point));
  while (end < text.size()) {
    const size_t length = decode_utf8(text, end, &code_point);
    const Element next = element_of(code_point);
    if (!cluster.takes(next)) break;
    cluster.add(next);
    end += length;
  }
  return end;
}

}  // namespace txtsum::text
