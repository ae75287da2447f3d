#include "text/byte_level_decoder.h"

#include <algorithm>
#include <unordered_set>

#include "text/byte_alphabet.h"

namespace txtsum::text {
namespace {

void replace_all(std::string* text, std::string_view from, std::string_view to) {
  std::string result;
  size_t start = 0;
  for (size_t found = text->find(from); found != std::string::npos; found = text->find(from, start)) {
    result.append(*text, start, found - start).append(to);
    start = found + from.size();
  }
  *text = result.append(*text, start);
}

}  // namespace

std::string clean_up_spaces(std::string text) {
  const std::pair<const char*, const char*> replacements[] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : replacements) replace_all(&text, from, to);
  return text;
}

ByteLevelDecoder::ByteLevelDecoder(const TokenizerDefinition& definition)
    : clean_up_spaces_(definition.clean_up_spaces) {
  const auto set = [&](int32_t id, const std::string& token) {
    if (id >= size()) bytes_.resize(id + 1);
    bytes_[id] = from_byte_symbols(token);
  };
  for (const auto& [token, id] : definition.model.vocabulary) set(id, token);
  for (const AddedToken& token : definition.added_tokens) set(token.id, token.content);
  special_.resize(bytes_.size());
  for (const AddedToken& token : definition.added_tokens) special_[token.id] = token.special ? 1 : 0;
}

std::string ByteLevelDecoder::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (id < 0 || id >= size() || (skip_special_tokens && is_special(id))) continue;
    bytes += bytes_[id];
  }
  std::string text = to_valid_utf8(bytes);
  return clean_up_spaces_ ? clean_up_spaces(std::move(text)) : text;
}

}  // namespace txtsum::text
