#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::text {

/// What a piece is in a SentencePiece model.
enum class PieceType : int { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

/// A piece of a SentencePiece model; its id is its place.
struct SentencePiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

/// What a `spiece.model` holds, as far as ids depend on it.
struct SentencePieceFile {
  std::vector<SentencePiece> pieces;
  /// SentencePiece's compiled normalization; empty for none.
  std::string charsmap;
};

/// Reads the bytes of a SentencePiece unigram model: a protocol buffer, read here because SentencePiece's package has
/// no header for it and its interface does not give the charsmap out. Throws DataError with `path`, byte and the way
/// out.
SentencePieceFile parse_sentencepiece_file(std::string_view bytes, const std::string& path);

/// Writes a model of `pieces` that SentencePiece applies to a text as it is: without normalization, without a space
/// before it. Its first piece has id 0 and so on.
std::string write_sentencepiece_file(const std::vector<SentencePiece>& pieces);

}  // namespace txtsum::text
