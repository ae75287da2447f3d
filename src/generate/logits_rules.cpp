#include "logits_rules.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "txtsum/core/error.h"

namespace txtsum::generate {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

/// Forbids every token that would complete an n-gram of `text` behind the last n - 1 tokens of `ids`.
template <typename Id>
void block_ngrams(std::span<const int64_t> ids, std::span<const Id> text, size_t n, std::vector<int32_t>& forbidden) {
  if (n == 0 || ids.size() + 1 < n || text.size() < n) return;
  const auto prefix = ids.last(n - 1);
  for (size_t start = 0; start + n <= text.size(); ++start) {
    if (std::equal(prefix.begin(), prefix.end(), text.begin() + static_cast<std::ptrdiff_t>(start))) {
      forbidden.push_back(static_cast<int32_t>(text[start + n - 1]));
    }
  }
}

/// log softmax; a row without a number stays as it is.
void renormalize(std::span<float> scores) {
  const float largest = *std::max_element(scores.begin(), scores.end());
  if (largest == kForbidden) return;
  double total = 0.0;
  for (const float score : scores) total += std::exp(static_cast<double>(score - largest));
  const auto log_total = static_cast<float>(std::log(total));
  for (float& score : scores) score = score - largest - log_total;
}

void append(std::vector<int32_t>& list, std::span<const int64_t> ids) {
  list.insert(list.end(), ids.begin(), ids.end());
}

}  // namespace

void LogitsRules::block_bad_words(std::span<const int64_t> ids, std::vector<int32_t>& forbidden) const {
  for (const std::vector<int64_t>& word : settings_.bad_words) {
    const size_t prefix = word.size() - 1;
    // transformers skips a word as long as the text so far is shorter than the whole word.
    if (prefix > 0 && word.size() > ids.size()) continue;
    if (!std::equal(word.begin(), word.end() - 1, ids.end() - static_cast<std::ptrdiff_t>(prefix))) continue;
    forbidden.push_back(static_cast<int32_t>(word.back()));
  }
}

namespace {

/// Suppressed tokens are suppressed after a token was forced.
std::vector<int64_t> without(const std::vector<int64_t>& suppressed, std::span<const int64_t> forced) {
  std::vector<int64_t> allowed;
  for (const int64_t id : forced) {
    if (std::find(suppressed.begin(), suppressed.end(), id) == suppressed.end()) allowed.push_back(id);
  }
  if (allowed.empty() && !forced.empty()) throw core::DataError("generation: the rules forbid every token");
  std::sort(allowed.begin(), allowed.end());
  return allowed;
}

}  // namespace

std::vector<int64_t> LogitsRules::forced_first() const {
  if (settings_.forced_bos_id < 0) return {};
  return without(settings_.suppress_tokens, {&settings_.forced_bos_id, 1});
}

std::vector<int64_t> LogitsRules::forced_last() const {
  return without(settings_.suppress_tokens, settings_.forced_eos_ids);
}

TokenRules LogitsRules::rules(std::span<const int64_t> ids, std::span<const int32_t> source) const {
  TokenRules rules;
  const int64_t length = static_cast<int64_t>(ids.size());
  std::vector<int32_t>& forbidden = rules.forbidden;
  if (settings_.repetition_penalty != 1.0) {
    std::vector<int32_t>& penalized = rules.penalized;
    penalized.assign(ids.begin(), ids.end());
    std::sort(penalized.begin(), penalized.end());
    penalized.erase(std::unique(penalized.begin(), penalized.end()), penalized.end());
  }
  block_ngrams(ids, ids, static_cast<size_t>(settings_.no_repeat_ngram), forbidden);
  block_ngrams(ids, source, static_cast<size_t>(settings_.encoder_no_repeat_ngram), forbidden);
  block_bad_words(ids, forbidden);
  if (length < settings_.min_length) append(forbidden, settings_.eos_ids);
  if (length == 1) rules.forced = forced_first();
  if (length == settings_.max_length - 1 && !settings_.forced_eos_ids.empty()) rules.forced = forced_last();
  append(forbidden, settings_.suppress_tokens);
  return rules;
}

void LogitsRules::apply(std::span<float> scores, const TokenRules& rules) const {
  if (!rules.forced.empty()) {
    std::fill(scores.begin(), scores.end(), kForbidden);
    for (const int64_t id : rules.forced) scores[static_cast<size_t>(id)] = 0.0f;
  } else {
    const float penalty = static_cast<float>(settings_.repetition_penalty);
    for (const int32_t id : rules.penalized) {
      float& score = scores[static_cast<size_t>(id)];
      score = score < 0.0f ? score * penalty : score / penalty;
    }
    for (const int32_t id : rules.forbidden) scores[static_cast<size_t>(id)] = kForbidden;
  }
  // The best of logits is the best either way.
  if (settings_.renormalize_logits && settings_.beams > 1) renormalize(scores);
}

}  // namespace txtsum::generate
