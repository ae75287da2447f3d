#include "text/defined_tokenizer.h"

#include <atomic>

#include "txtsum/core/error.h"

namespace txtsum::text {
namespace {

uint64_t next_number() {
  static std::atomic<uint64_t> number{0};
  return ++number;
}

}  // namespace

void append_ids(const std::vector<std::pair<std::string, int32_t>>& tokens, std::vector<int32_t>* ids) {
  for (const auto& [token, id] : tokens) ids->push_back(id);
}

DefinedTokenizer::DefinedTokenizer(TokenizerDefinition definition)
    : definition_(std::move(definition)), number_(next_number()) {
  for (const auto& [token, id] : definition_.model.vocabulary) {
    ids_[token] = id;
    tokens_[id] = token;
  }
  for (const AddedToken& token : definition_.added_tokens) {
    ids_[token.content] = token.id;
    tokens_[token.id] = token.content;
  }
  const std::pair<const char*, std::optional<int32_t> SpecialIds::*> roles[] = {
      {"bos_token", &SpecialIds::bos}, {"eos_token", &SpecialIds::eos},   {"pad_token", &SpecialIds::pad},
      {"unk_token", &SpecialIds::unk}, {"mask_token", &SpecialIds::mask}, {"cls_token", &SpecialIds::cls},
      {"sep_token", &SpecialIds::sep}};
  for (const auto& [role, field] : roles) {
    const auto named = definition_.special_tokens.find(role);
    if (named != definition_.special_tokens.end()) special_ids_.*field = ids_.at(named->second);
  }
}

TruncatedIds DefinedTokenizer::encode_truncated(std::string_view text, size_t max_tokens,
                                                bool add_special_tokens) const {
  const size_t added = add_special_tokens ? added_special_tokens() : 0;
  if (max_tokens < added) {
    throw core::UserError("a limit of " + std::to_string(max_tokens) + " tokens leaves no room for the " +
                          std::to_string(added) + " special tokens of every text; it must be at least " +
                          std::to_string(added));
  }
  TruncatedIds result;
  result.ids = encode(text, add_special_tokens);
  result.full_length = result.ids.size();
  if (result.full_length <= max_tokens) return result;
  const size_t prefix = add_special_tokens ? definition_.post_processor.prefix.size() : 0;
  const size_t suffix = added - prefix;
  const auto excess = static_cast<std::ptrdiff_t>(result.full_length - max_tokens);
  const auto first = definition_.truncate_left ? result.ids.begin() + static_cast<std::ptrdiff_t>(prefix)
                                               : result.ids.end() - static_cast<std::ptrdiff_t>(suffix) - excess;
  result.ids.erase(first, first + excess);
  return result;
}

size_t DefinedTokenizer::added_special_tokens() const {
  return definition_.post_processor.prefix.size() + definition_.post_processor.suffix.size();
}

std::optional<int32_t> DefinedTokenizer::token_to_id(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> DefinedTokenizer::id_to_token(int32_t id) const {
  const auto found = tokens_.find(id);
  if (found == tokens_.end()) return std::nullopt;
  return found->second;
}

}  // namespace txtsum::text
