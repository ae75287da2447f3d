#pragma once

#include <map>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/charsmap.h"
#include "text/defined_tokenizer.h"
#include "text/unigram_model.h"
#include "text/word_cache.h"

namespace txtsum::text {

/// A SentencePiece unigram tokenizer, as T5 and Pegasus use it, stage by stage as Hugging Face `tokenizers`.
class UnigramTokenizer : public DefinedTokenizer {
 public:
  /// `files` are the originals that save copies; `model_path` is named in errors. Throws DataError.
  UnigramTokenizer(TokenizerDefinition definition, const std::string& model_path,
                   std::map<std::string, std::string> files);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const override;
  bool is_special(int32_t id) const override;
  void save(const std::string& folder) const override;
  const std::string& fingerprint() const override { return fingerprint_; }

 private:
  std::string normalize(std::string_view text) const;
  void encode_text(std::string_view normalized, WordCache* cache, std::vector<int32_t>* ids) const;
  void encode_part(std::string_view part, WordCache* cache, std::vector<int32_t>* ids) const;
  void encode_word(std::string_view word, WordCache* cache, std::vector<int32_t>* ids) const;

  std::map<std::string, std::string> files_;
  Charsmap charsmap_;
  UnigramModel model_;
  /// Added tokens that are looked for in the text as it is, and those that are looked for after normalization.
  AddedTokenFinder raw_tokens_, normalized_tokens_;
  /// By id: the token (none where the id is a hole), and whether it is special.
  std::vector<std::string> texts_;
  std::vector<uint8_t> special_;
  std::string fingerprint_;
};

}  // namespace txtsum::text
