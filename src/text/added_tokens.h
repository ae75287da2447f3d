#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer_definition.h"

namespace txtsum::text {

/// A part of a text: an added token, or, with id -1, text for the pre-tokenizer.
struct Piece {
  int32_t id;
  std::string_view text;
};

/// Finds added tokens in texts: leftmost first, then longest, as Hugging Face's AddedVocabulary.
class AddedTokenFinder {
 public:
  explicit AddedTokenFinder(const std::vector<AddedToken>& tokens);

  /// Cuts `text` into pieces, none of them empty, and appends them to `pieces`.
  void split(std::string_view text, std::vector<Piece>* pieces) const;

 private:
  /// Tokens of one pass, by their first byte, the longest first.
  struct Pass {
    std::vector<AddedToken> tokens;
    std::array<std::vector<uint32_t>, 256> by_first_byte;
    std::vector<unsigned char> first_bytes;
    const AddedToken* match(std::string_view text, size_t position) const;
    size_t next_candidate(std::string_view text, size_t position) const;
    void split(std::string_view text, std::vector<Piece>* pieces) const;
  };
  static Pass make_pass(const std::vector<AddedToken>& tokens, bool normalized);

  /// Tokens that are not normalized are found in the whole text, then the others in what is left.
  Pass raw_;
  Pass normalized_;
};

}  // namespace txtsum::text
