#pragma once

#include <map>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/byte_level_decoder.h"
#include "text/defined_tokenizer.h"
#include "text/word_cache.h"

namespace txtsum::text {

/// The stages put together.
class ByteLevelTokenizer : public DefinedTokenizer {
 public:
  /// `files` are the originals that save copies; `model_path` is named in errors. Throws DataError.
  ByteLevelTokenizer(TokenizerDefinition definition, const std::string& model_path,
                     std::map<std::string, std::string> files);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const override;
  bool is_special(int32_t id) const override { return decoder_.is_special(id); }
  void save(const std::string& folder) const override;
  const std::string& fingerprint() const override { return fingerprint_; }

 private:
  void encode_piece(std::string_view text, WordCache* cache, std::vector<int32_t>* ids) const;
  void encode_word(std::string_view word, WordCache* cache, std::vector<int32_t>* ids) const;

  std::map<std::string, std::string> files_;
  AddedTokenFinder added_tokens_;
  BpeModel model_;
  ByteLevelDecoder decoder_;
  std::string fingerprint_;
};

}  // namespace txtsum::text
