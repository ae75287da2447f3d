#include "metrics/rouge_tokens.h"

#include "txtsum/metrics/porter_stemmer.h"

namespace txtsum::metrics {
namespace {

struct Letter {
  /// In [a-z0-9], or 0 for what separates words.
  char value;
  /// How many bytes it took.
  size_t bytes;
};

// Two characters outside ASCII have ASCII lower-case forms: U+0130 becomes i and a combining dot, which ends the word
// (the dot is no letter here), and U+212A, the sign of kelvin, becomes k.
Letter read_letter(std::string_view text, size_t at) {
  const char c = text[at];
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return {c, 1};
  if (c >= 'A' && c <= 'Z') return {static_cast<char>(c - 'A' + 'a'), 1};
  if (text.substr(at, 2) == "\xC4\xB0") return {'i', 2};
  if (text.substr(at, 3) == "\xE2\x84\xAA") return {'k', 3};
  return {0, 1};
}

}  // namespace

uint32_t RougeTokenizer::number_of_word(const std::string& word) {
  const auto known = number_of_word_.find(word);
  if (known != number_of_word_.end()) return known->second;
  const std::string token = stem_ && word.size() > 3 ? porter_stem(word) : word;
  const uint32_t number =
      number_of_token_.try_emplace(token, static_cast<uint32_t>(number_of_token_.size())).first->second;
  number_of_word_.emplace(word, number);
  return number;
}

TokenizedText RougeTokenizer::tokenize(std::span<const std::string_view> sentences) {
  TokenizedText result;
  const auto finish_word = [&] {
    if (!word_.empty()) result.tokens.push_back(number_of_word(word_));
    word_.clear();
  };
  for (const std::string_view sentence : sentences) {
    const size_t before = result.tokens.size();
    for (size_t at = 0; at < sentence.size();) {
      const Letter letter = read_letter(sentence, at);
      if (letter.value != 0) word_ += letter.value;
      if (letter.value == 0 || letter.bytes == 2) finish_word();
      at += letter.bytes;
    }
    finish_word();
    if (result.tokens.size() > before) result.sentence_ends.push_back(result.tokens.size());
  }
  return result;
}

}  // namespace txtsum::metrics
