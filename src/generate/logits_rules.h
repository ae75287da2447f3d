#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "txtsum/generate/settings.h"

namespace txtsum::generate {

/// What the rules say about the token that follows one hypothesis.
struct TokenRules {
  std::vector<int32_t> penalized;  ///< Each id once.
  std::vector<int32_t> forbidden;
  /// Not empty: these alone are allowed, with score 0, and the others do not count; ascending.
  std::vector<int64_t> forced;
};

/// transformers' logits processors that summaries use, in its order: repetition penalty, n-gram blocking, n-grams of
/// the source, bad words, least length, forced first and last token, suppressed tokens; renormalization comes last.
class LogitsRules {
 public:
  explicit LogitsRules(const GenerationSettings& settings) : settings_(settings) {}

  /// The rules for the token that follows `ids` (start token first); `source` is the document.
  TokenRules rules(std::span<const int64_t> ids, std::span<const int32_t> source) const;
  /// Of the tokens that are forced as the first and as the last one, those that are not suppressed, ascending. Throws
  /// DataError where some are forced and all of them suppressed.
  std::vector<int64_t> forced_first() const;
  std::vector<int64_t> forced_last() const;
  /// Applies them to one row of scores (log-probabilities for beams, logits for greedy), one a vocabulary entry.
  void apply(std::span<float> scores, const TokenRules& rules) const;

 private:
  void block_bad_words(std::span<const int64_t> ids, std::vector<int32_t>& forbidden) const;

  const GenerationSettings& settings_;
};

}  // namespace txtsum::generate
