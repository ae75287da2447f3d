#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace txtsum::metrics {

/// A text as numbers: equal tokens have equal numbers.
struct TokenizedText {
  std::vector<uint32_t> tokens;
  /// Sentence s is tokens[sentence_ends[s - 1], sentence_ends[s]), from 0 for the first. Sentences without tokens are
  /// left out.
  std::vector<size_t> sentence_ends;

  std::span<const uint32_t> sentence(size_t s) const {
    const size_t begin = s == 0 ? 0 : sentence_ends[s - 1];
    return std::span(tokens).subspan(begin, sentence_ends[s] - begin);
  }
  size_t sentence_count() const { return sentence_ends.size(); }
};

/// Cuts text into tokens as rouge_score does, and numbers them. Each distinct word is stemmed once. Not for several
/// threads.
class RougeTokenizer {
 public:
  explicit RougeTokenizer(bool stem) : stem_(stem) {}

  /// Tokens are the runs of [a-z0-9] after Unicode lower-casing; those of more than three characters are stemmed.
  /// The sentences are views into one text and in its order.
  TokenizedText tokenize(std::span<const std::string_view> sentences);

  /// All token numbers are below this.
  size_t token_count() const { return number_of_token_.size(); }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Numbers = std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>>;

  uint32_t number_of_word(const std::string& word);

  bool stem_;
  std::string word_;
  Numbers number_of_word_;
  Numbers number_of_token_;
};

}  // namespace txtsum::metrics
