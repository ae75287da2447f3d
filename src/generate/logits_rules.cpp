#include "logits_rules.h"

#include <algorithm>
#include <limits>
#include <set>

namespace txtsum::generate {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

/// Forbids every token that would complete an n-gram of `text` behind the last n - 1 tokens of `ids`.
template <typename Id>
void block_ngrams(std::span<float> scores, std::span<const int64_t> ids, std::span<const Id> text, size_t n) {
  if (n == 0 || ids.size() + 1 < n || text.size() < n) return;
  const auto prefix = ids.last(n - 1);
  for (size_t start = 0; start + n <= text.size(); ++start) {
    if (std::equal(prefix.begin(), prefix.end(), text.begin() + static_cast<std::ptrdiff_t>(start))) {
      scores[static_cast<size_t>(text[start + n - 1])] = kForbidden;
    }
  }
}

/// Leaves `allowed` alone, with score 0.
void force(std::span<float> scores, std::span<const int64_t> allowed) {
  std::fill(scores.begin(), scores.end(), kForbidden);
  for (const int64_t id : allowed) scores[static_cast<size_t>(id)] = 0.0f;
}

}  // namespace

void LogitsRules::penalize_repetition(std::span<float> scores, std::span<const int64_t> ids) const {
  const float penalty = static_cast<float>(settings_.repetition_penalty);
  for (const int64_t id : std::set<int64_t>(ids.begin(), ids.end())) {
    float& score = scores[static_cast<size_t>(id)];
    score = score < 0.0f ? score * penalty : score / penalty;
  }
}

void LogitsRules::block_bad_words(std::span<float> scores, std::span<const int64_t> ids) const {
  for (const std::vector<int64_t>& word : settings_.bad_words) {
    const size_t prefix = word.size() - 1;
    // transformers skips a word as long as the text so far is shorter than the whole word.
    if (prefix > 0 && word.size() > ids.size()) continue;
    if (!std::equal(word.begin(), word.end() - 1, ids.end() - static_cast<std::ptrdiff_t>(prefix))) continue;
    scores[static_cast<size_t>(word.back())] = kForbidden;
  }
}

void LogitsRules::apply(std::span<float> scores, std::span<const int64_t> ids, std::span<const int32_t> source) const {
  const int64_t length = static_cast<int64_t>(ids.size());
  if (settings_.repetition_penalty != 1.0) penalize_repetition(scores, ids);
  block_ngrams(scores, ids, ids, static_cast<size_t>(settings_.no_repeat_ngram));
  block_ngrams(scores, ids, source, static_cast<size_t>(settings_.encoder_no_repeat_ngram));
  block_bad_words(scores, ids);
  if (length < settings_.min_length) {
    for (const int64_t id : settings_.eos_ids) scores[static_cast<size_t>(id)] = kForbidden;
  }
  if (length == 1 && settings_.forced_bos_id >= 0) force(scores, {&settings_.forced_bos_id, 1});
  if (length == settings_.max_length - 1 && !settings_.forced_eos_ids.empty()) force(scores, settings_.forced_eos_ids);
  for (const int64_t id : settings_.suppress_tokens) scores[static_cast<size_t>(id)] = kForbidden;
}

}  // namespace txtsum::generate
