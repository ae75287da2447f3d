#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "txtsum/generate/settings.h"

namespace txtsum::generate {

/// transformers' logits processors that summaries use, in its order, on one row of scores (log-probabilities for beams,
/// logits for greedy): repetition penalty, n-gram blocking, n-grams of the source, bad words, least length, forced
/// first and last token, suppressed tokens.
class LogitsRules {
 public:
  explicit LogitsRules(const GenerationSettings& settings) : settings_(settings) {}

  /// Changes `scores` (one a vocabulary entry) for the token that follows `ids` (start token first); `source` is the
  /// document.
  void apply(std::span<float> scores, std::span<const int64_t> ids, std::span<const int32_t> source) const;

 private:
  void penalize_repetition(std::span<float> scores, std::span<const int64_t> ids) const;
  void block_bad_words(std::span<float> scores, std::span<const int64_t> ids) const;

  const GenerationSettings& settings_;
};

}  // namespace txtsum::generate
