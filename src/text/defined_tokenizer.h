#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/tokenizer_definition.h"
#include "txtsum/text/tokenizer.h"

namespace txtsum::text {

/// What every kind of tokenizer does alike: it looks tokens up and truncates.
class DefinedTokenizer : public Tokenizer {
 public:
  TruncatedIds encode_truncated(std::string_view text, size_t max_tokens, bool add_special_tokens) const override;
  size_t vocab_size() const override { return ids_.size(); }
  const SpecialIds& special_ids() const override { return special_ids_; }
  size_t added_special_tokens() const override;
  std::optional<int32_t> token_to_id(std::string_view token) const override;
  std::optional<std::string> id_to_token(int32_t id) const override;

 protected:
  explicit DefinedTokenizer(TokenizerDefinition definition);

  const TokenizerDefinition definition_;
  /// Names this tokenizer's word caches.
  const uint64_t number_;

 private:
  SpecialIds special_ids_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> tokens_;
};

/// Appends the ids of a post-processor's tokens.
void append_ids(const std::vector<std::pair<std::string, int32_t>>& tokens, std::vector<int32_t>* ids);

}  // namespace txtsum::text
