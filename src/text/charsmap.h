#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::text {

/// SentencePiece's compiled normalization (`precompiled_charsmap` of its models: NFKC and more), applied as Hugging
/// Face `tokenizers` does it and not as SentencePiece: a grapheme cluster of less than six bytes is looked up whole,
/// and the shortest entry that it starts with replaces all of it; other clusters are looked up character by character.
/// SentencePiece takes the longest entry at each place, which keeps marks that `tokenizers` drops.
class Charsmap {
 public:
  /// `bytes` are the model's, empty for no normalization; `path` is named in errors. Throws DataError.
  Charsmap(std::string_view bytes, const std::string& path);

  /// `text` must be well-formed UTF-8.
  std::string normalize(std::string_view text) const;

 private:
  bool find(std::string_view chunk, std::string_view* replacement) const;

  /// A Darts-clone double array; its values are offsets into `replacements_`, where each ends at a zero byte.
  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace txtsum::text
