#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/byte_level_decoder.h"
#include "text/tokenizer_definition.h"
#include "text/word_cache.h"
#include "txtsum/text/tokenizer.h"

namespace txtsum::text {

/// The stages put together.
class ByteLevelTokenizer : public Tokenizer {
 public:
  /// `files` are the originals that save copies; `model_path` is named in errors. Throws DataError.
  ByteLevelTokenizer(TokenizerDefinition definition, const std::string& model_path,
                     std::map<std::string, std::string> files);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const override;
  TruncatedIds encode_truncated(std::string_view text, size_t max_tokens, bool add_special_tokens) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const override;
  size_t vocab_size() const override { return ids_.size(); }
  const SpecialIds& special_ids() const override { return special_ids_; }
  size_t added_special_tokens() const override;
  bool is_special(int32_t id) const override { return decoder_.is_special(id); }
  std::optional<int32_t> token_to_id(std::string_view token) const override;
  std::optional<std::string> id_to_token(int32_t id) const override;
  void save(const std::string& folder) const override;
  const std::string& fingerprint() const override { return fingerprint_; }

 private:
  void index_tokens();
  void encode_piece(std::string_view text, WordCache* cache, std::vector<int32_t>* ids) const;
  void encode_word(std::string_view word, WordCache* cache, std::vector<int32_t>* ids) const;

  TokenizerDefinition definition_;
  std::map<std::string, std::string> files_;
  AddedTokenFinder added_tokens_;
  BpeModel model_;
  ByteLevelDecoder decoder_;
  SpecialIds special_ids_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> tokens_;
  std::string fingerprint_;
  /// Names this tokenizer's word caches.
  uint64_t number_;
};

}  // namespace txtsum::text
