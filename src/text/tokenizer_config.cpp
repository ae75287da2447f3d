#include <algorithm>
#include <vector>

#include "text/tokenizer_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/core/parse_json.h"

namespace txtsum::text {
namespace {

using core::Json;

[[noreturn]] void refuse(const std::string& path, const std::string& key, const Json& value, const char* supported) {
  throw core::DataError(path + ": " + key + " is " + core::to_line(value) + "; supported: " + supported);
}

Json parse_object(const std::string& json, const std::string& path) {
  Json value = core::parse_json(json, path);
  if (!value.is_object()) throw core::DataError(path + ": the file is no JSON object");
  return value;
}

// The value of `key`, or null.
const Json& value_of(const Json& object, const char* key) {
  static const Json null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

bool boolean_of(const Json& object, const std::string& path, const char* key, bool otherwise) {
  const Json& value = value_of(object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) refuse(path, key, value, "true or false");
  return value.get<bool>();
}

// A token is written as a string or as an object with flags.
AddedToken read_token(const Json& value, const std::string& path, const std::string& key) {
  AddedToken token;
  token.special = true;
  if (value.is_string()) {
    token.content = value.get<std::string>();
    // BART's convention: a mask stands for the words and the space before them.
    token.lstrip = key == "mask_token";
  } else if (value.is_object() && value_of(value, "content").is_string()) {
    token.content = value["content"].get<std::string>();
    token.single_word = boolean_of(value, path, "single_word", false);
    token.lstrip = boolean_of(value, path, "lstrip", false);
    token.rstrip = boolean_of(value, path, "rstrip", false);
    token.normalized = boolean_of(value, path, "normalized", false);
    token.special = boolean_of(value, path, "special", true);
  }
  if (token.content.empty()) refuse(path, key, value, "a token, or an object with its content and flags");
  return token;
}

// Tokens with flags by id; flags override those of tokenizer.json, as in transformers.
void apply_added_tokens_decoder(const Json& tokens, const std::string& path, TokenizerDefinition* definition) {
  if (tokens.is_null()) return;
  if (!tokens.is_object()) refuse(path, "added_tokens_decoder", tokens, "an object, id to token");
  std::vector<std::pair<int64_t, AddedToken>> by_id;
  for (const auto& [id, value] : tokens.items()) {
    if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos) {
      refuse(path, "added_tokens_decoder." + id, value, "ids as keys");
    }
    AddedToken token = read_token(value, path, "added_tokens_decoder." + id);
    token.special = boolean_of(value, path, "special", false);
    by_id.emplace_back(std::stol(id), token);
  }
  std::sort(by_id.begin(), by_id.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [id, token] : by_id) {
    add_token(definition, token);
    for (AddedToken& known : definition->added_tokens) {
      if (known.content != token.content) continue;
      if (known.id != id) {
        throw core::DataError(path + ": added_tokens_decoder gives '" + token.content + "' the id " +
                              std::to_string(id) + ", the vocabulary gives it " + std::to_string(known.id));
      }
      const bool special = known.special || token.special;
      known = token;
      known.id = static_cast<int32_t>(id);
      known.special = special;
    }
  }
}

void apply_roles(const Json& config, const std::string& path, TokenizerDefinition* definition) {
  for (const char* role : kSpecialRoles) {
    const Json& value = value_of(config, role);
    if (value.is_null() || definition->special_tokens.count(role) != 0) continue;
    AddedToken token = read_token(value, path, role);
    if (definition->unigram && value.is_string()) token.lstrip = false;
    definition->special_tokens[role] = token.content;
    add_token(definition, token);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    for (const Json& value : value_of(config, key)) add_token(definition, read_token(value, path, key));
  }
}

// add_bos_token and add_eos_token: the post-processor decides; here they may only agree with it.
void check_bos_eos(const Json& config, const std::string& path, const TokenizerDefinition& definition) {
  const auto has = [](const auto& tokens, const std::string& content) {
    return std::any_of(tokens.begin(), tokens.end(), [&](const auto& token) { return token.first == content; });
  };
  const auto check = [&](const char* key, const char* role, const auto& tokens) {
    const Json& value = value_of(config, key);
    const auto token = definition.special_tokens.find(role);
    if (value.is_null() || token == definition.special_tokens.end()) return;
    if (value != has(tokens, token->second)) refuse(path, key, value, "what the post-processor of tokenizer.json does");
  };
  check("add_bos_token", "bos_token", definition.post_processor.prefix);
  check("add_eos_token", "eos_token", definition.post_processor.suffix);
}

}  // namespace

void apply_tokenizer_config(const std::string& json, const std::string& path, TokenizerDefinition* definition) {
  const Json config = parse_object(json, path);
  for (const char* key : {"do_lower_case", "split_special_tokens"}) {
    if (boolean_of(config, path, key, false)) refuse(path, key, config[key], "false");
  }
  const Json& errors = value_of(config, "errors");
  if (!errors.is_null() && errors != "replace") refuse(path, "errors", errors, "\"replace\"");
  const Json& side = value_of(config, "truncation_side");
  if (!side.is_null() && side != "left" && side != "right") {
    refuse(path, "truncation_side", side, "\"left\" or \"right\"");
  }
  definition->truncate_left = side == "left";
  definition->pre_tokenizer.add_prefix_space =
      boolean_of(config, path, "add_prefix_space", definition->pre_tokenizer.add_prefix_space);
  const bool clean_up = boolean_of(config, path, "clean_up_tokenization_spaces", false);
  definition->clean_up_spaces = clean_up && (definition->unigram || boolean_of(config, path, kForceCleanUpKey, false));
  if (clean_up && !definition->clean_up_spaces) {
    core::log_debug(path + ": clean_up_tokenization_spaces is true; without " + kForceCleanUpKey +
                    " it does nothing for byte-level BPE, as in transformers 5");
  }
  const Json& length = value_of(config, "model_max_length");
  // transformers writes 1e30 for "no limit".
  if (length.is_number_integer() && length > 0 && length <= INT32_MAX) {
    definition->model_max_length = length.get<int64_t>();
  }
  apply_added_tokens_decoder(value_of(config, "added_tokens_decoder"), path, definition);
  apply_roles(config, path, definition);
  check_bos_eos(config, path, *definition);
}

void apply_special_tokens_map(const std::string& json, const std::string& path, TokenizerDefinition* definition) {
  apply_roles(parse_object(json, path), path, definition);
}

void complete_special_tokens(TokenizerDefinition* definition) {
  const std::pair<const char*, const char*> conventions[] = {
      {"bos_token", "<s>"},   {"eos_token", "</s>"}, {"unk_token", "<unk>"},  {"sep_token", "</s>"},
      {"pad_token", "<pad>"}, {"cls_token", "<s>"},  {"mask_token", "<mask>"}};
  for (const auto& [role, content] : conventions) {
    if (definition->special_tokens.count(role) != 0 || !find_token(*definition, content)) continue;
    definition->special_tokens[role] = content;
    AddedToken token;
    token.content = content;
    token.lstrip = std::string(role) == "mask_token";
    token.special = true;
    add_token(definition, token);
  }
}

}  // namespace txtsum::text
