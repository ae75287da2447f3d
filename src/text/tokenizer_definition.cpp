#include "text/tokenizer_definition.h"

#include <algorithm>

namespace txtsum::text {
namespace {

std::optional<int32_t> find_in_model(const BpeDefinition& model, const std::string& token) {
  const auto found = std::find_if(model.vocabulary.begin(), model.vocabulary.end(),
                                  [&](const auto& entry) { return entry.first == token; });
  if (found == model.vocabulary.end()) return std::nullopt;
  return found->second;
}

int32_t next_added_id(const TokenizerDefinition& definition) {
  auto next = static_cast<int32_t>(definition.model.vocabulary.size());
  for (const AddedToken& token : definition.added_tokens) next = std::max(next, token.id + 1);
  return next;
}

}  // namespace

std::optional<int32_t> find_token(const TokenizerDefinition& definition, const std::string& token) {
  for (const AddedToken& added : definition.added_tokens) {
    if (added.content == token) return added.id;
  }
  return find_in_model(definition.model, token);
}

bool add_token(TokenizerDefinition* definition, AddedToken token) {
  const auto same = [&](const AddedToken& other) { return other.content == token.content; };
  if (std::any_of(definition->added_tokens.begin(), definition->added_tokens.end(), same)) return false;
  const std::optional<int32_t> known = find_in_model(definition->model, token.content);
  token.id = known ? *known : next_added_id(*definition);
  definition->added_tokens.push_back(std::move(token));
  return true;
}

}  // namespace txtsum::text
