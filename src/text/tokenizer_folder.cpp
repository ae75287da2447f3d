#include "text/tokenizer_folder.h"

#include <algorithm>
#include <filesystem>

#include "text/tokenizer_json.h"
#include "text/unigram_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"

namespace txtsum::text {
namespace {

constexpr const char* kFileNames[] = {
    "tokenizer.json",          "vocab.json",        "merges.txt",   "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "spiece.model", "sentencepiece.bpe.model"};

[[noreturn]] void refuse_folder(const std::string& folder, const std::map<std::string, std::string>& files) {
  std::string message = folder +
                        ": no tokenizer here: looked for tokenizer.json, for vocab.json with merges.txt, and for " +
                        "spiece.model or sentencepiece.bpe.model";
  if (files.count("vocab.json") != 0) message += " (vocab.json is there, merges.txt is missing)";
  if (files.count("merges.txt") != 0) message += " (merges.txt is there, vocab.json is missing)";
  if (!std::filesystem::is_directory(folder)) message += "; there is no such folder";
  if (std::filesystem::exists(folder + "/vocab.txt")) message += "; vocab.txt is not supported";
  throw core::DataError(message);
}

// The first folder layout: no stages are written down, so they are BART's.
TokenizerDefinition read_vocab_and_merges(const std::string& folder, const std::map<std::string, std::string>& files) {
  TokenizerDefinition definition;
  definition.model.vocabulary = parse_vocab_json(files.at("vocab.json"), folder + "/vocab.json");
  definition.model.merges = parse_merges_text(files.at("merges.txt"), folder + "/merges.txt");
  return definition;
}

// added_tokens.json of old folders: token to id.
void apply_added_tokens(const std::string& json, const std::string& path, TokenizerDefinition* definition) {
  auto tokens = parse_vocab_json(json, path);
  for (const auto& [content, id] : tokens) {
    AddedToken token;
    token.content = content;
    add_token(definition, token);
    const std::optional<int32_t> known = find_token(*definition, content);
    if (known && *known == id) continue;
    throw core::DataError(path + ": '" + content + "' has id " + std::to_string(id) +
                          ", but its place in the vocabulary is " + std::to_string(known.value_or(-1)));
  }
}

// BART's post-processor: <cls> text <sep>.
PostProcessor bart_post_processor(const TokenizerDefinition& definition, const std::string& path) {
  const auto token_of = [&](const char* role, const char* convention) {
    const auto named = definition.special_tokens.find(role);
    const std::string token = named == definition.special_tokens.end() ? convention : named->second;
    const std::optional<int32_t> id = find_token(definition, token);
    if (!id) throw core::DataError(path + ": " + role + " '" + token + "' is not in the vocabulary");
    return std::pair<std::string, int32_t>(token, *id);
  };
  return {{token_of("cls_token", "<s>")}, {token_of("sep_token", "</s>")}};
}

}  // namespace

TokenizerFolder read_tokenizer_folder(const std::string& folder) {
  TokenizerFolder result;
  for (const char* name : kFileNames) {
    const std::string path = folder + "/" + name;
    if (std::filesystem::exists(path)) result.files[name] = core::read_file(path);
  }
  if (has_unigram_model(result.files)) {
    result.model_path = folder + "/" + unigram_model_name(result.files);
    result.definition = read_unigram_definition(folder, &result.files);
    return result;
  }
  const bool has_json = result.files.count("tokenizer.json") != 0;
  if (!has_json && (result.files.count("vocab.json") == 0 || result.files.count("merges.txt") == 0)) {
    refuse_folder(folder, result.files);
  }
  result.model_path = folder + (has_json ? "/tokenizer.json" : "/merges.txt");
  TokenizerDefinition& definition = result.definition;
  definition = has_json ? parse_tokenizer_json(result.files["tokenizer.json"], result.model_path)
                        : read_vocab_and_merges(folder, result.files);
  const auto apply = [&](const char* name, auto function) {
    if (result.files.count(name) != 0) function(result.files[name], folder + "/" + name, &definition);
  };
  if (!has_json) apply("added_tokens.json", apply_added_tokens);
  apply("tokenizer_config.json", apply_tokenizer_config);
  apply("special_tokens_map.json", apply_special_tokens_map);
  complete_special_tokens(&definition);
  if (!has_json) definition.post_processor = bart_post_processor(definition, folder + "/vocab.json");
  return result;
}

}  // namespace txtsum::text
