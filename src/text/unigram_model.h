#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/sentencepiece_library.h"
#include "text/tokenizer_definition.h"

namespace txtsum::text {

/// The unigram model: cuts a word into the pieces with the highest sum of scores, as Hugging Face `tokenizers`.
///
/// The SentencePiece library finds them, but adds scores up in single precision, so that of equal segmentations
/// (`--` `-` and `-` `--`) it takes whichever rounding favours, where `tokenizers` takes the one with the longest last
/// piece. So it is asked twice: with the scores as they are, and with scores rounded to a grid on which sums are exact,
/// which gives the right one of equal segmentations but may mistake close ones. Between places where both cut, the
/// exact sum decides. What is left are words of thousands of characters without whitespace, whose sums leave the grid,
/// and stretches in which one is mistaken at one place and the other at another.
class UnigramModel {
 public:
  /// `path` is named in errors. Throws DataError and EnvironmentError.
  UnigramModel(const TokenizerDefinition& definition, const std::string& path);

  /// Appends the ids of `word`, which must be well-formed UTF-8.
  void encode_word(std::string_view word, std::vector<int32_t>* ids) const;

 private:
  struct Entry {
    int32_t id;
    double score;
  };
  /// Appends the ids of a text of characters that occur in pieces; `begin` is where those of the word begin.
  void encode_known(std::string_view text, size_t begin, std::vector<int32_t>* ids) const;
  /// Appends an id, but no second unknown one: neighbouring unknown characters are one token.
  void append(int32_t id, size_t begin, std::vector<int32_t>* ids) const;
  double sum_of_scores(std::span<const std::string> pieces) const;
  bool is_better(std::span<const std::string> pieces, std::span<const std::string> than) const;

  std::unordered_map<std::string, Entry> entries_;
  /// By code point, whether any piece has it.
  std::vector<bool> known_;
  int32_t unk_id_;
  double unk_score_;
  SentencePieceModel as_it_is_, on_grid_;
};

}  // namespace txtsum::text
