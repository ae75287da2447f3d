#include "text/byte_level_tokenizer.h"

#include <algorithm>
#include <atomic>

#include "text/tokenizer_folder.h"
#include "text/tokenizer_json.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::text {
namespace {

uint64_t next_number() {
  static std::atomic<uint64_t> number{0};
  return ++number;
}

void append_ids(const std::vector<std::pair<std::string, int32_t>>& tokens, std::vector<int32_t>* ids) {
  for (const auto& [token, id] : tokens) ids->push_back(id);
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::load(const std::string& folder) {
  TokenizerFolder loaded = read_tokenizer_folder(folder);
  return std::make_unique<ByteLevelTokenizer>(std::move(loaded.definition), loaded.model_path, std::move(loaded.files));
}

ByteLevelTokenizer::ByteLevelTokenizer(TokenizerDefinition definition, const std::string& model_path,
                                       std::map<std::string, std::string> files)
    : definition_(std::move(definition)),
      files_(std::move(files)),
      added_tokens_(definition_.added_tokens),
      model_(definition_.model, model_path),
      decoder_(definition_),
      number_(next_number()) {
  index_tokens();
  fingerprint_ =
      core::content_hash(write_tokenizer_json(definition_) + write_special_tokens_map(definition_) +
                         (definition_.truncate_left ? "left" : "right") + (definition_.clean_up_spaces ? "clean" : ""));
}

void ByteLevelTokenizer::index_tokens() {
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

void ByteLevelTokenizer::encode_word(std::string_view word, WordCache* cache, std::vector<int32_t>* ids) const {
  if (word.size() > WordCache::kLongestWord) {
    model_.encode_word(word, ids);
    return;
  }
  const WordCache::Key key = WordCache::make_key(word);
  if (cache->find(key, ids)) return;
  const size_t begin = ids->size();
  model_.encode_word(word, ids);
  cache->insert(key, *ids, begin);
}

void ByteLevelTokenizer::encode_piece(std::string_view text, WordCache* cache, std::vector<int32_t>* ids) const {
  std::string prefixed;
  if (definition_.pre_tokenizer.add_prefix_space && text[0] != ' ') {
    prefixed.append(" ").append(text);
    text = prefixed;
  }
  if (!definition_.pre_tokenizer.use_regex) {
    encode_word(text, cache, ids);
    return;
  }
  for (size_t start = 0; start < text.size();) {
    const size_t end = word_end(text, start);
    encode_word(text.substr(start, end - start), cache, ids);
    start = end;
  }
}

std::vector<int32_t> ByteLevelTokenizer::encode(std::string_view text, bool add_special_tokens) const {
  WordCache& cache = WordCache::of_thread(number_);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (add_special_tokens) append_ids(definition_.post_processor.prefix, &ids);
  std::vector<Piece> pieces;
  added_tokens_.split(text, &pieces);
  for (const Piece& piece : pieces) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_piece(piece.text, &cache, &ids);
    }
  }
  if (add_special_tokens) append_ids(definition_.post_processor.suffix, &ids);
  return ids;
}

TruncatedIds ByteLevelTokenizer::encode_truncated(std::string_view text, size_t max_tokens,
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

std::string ByteLevelTokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  return decoder_.decode(ids, skip_special_tokens);
}

size_t ByteLevelTokenizer::added_special_tokens() const {
  return definition_.post_processor.prefix.size() + definition_.post_processor.suffix.size();
}

std::optional<int32_t> ByteLevelTokenizer::token_to_id(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> ByteLevelTokenizer::id_to_token(int32_t id) const {
  const auto found = tokens_.find(id);
  if (found == tokens_.end()) return std::nullopt;
  return found->second;
}

void ByteLevelTokenizer::save(const std::string& folder) const {
  std::map<std::string, std::string> files = files_;
  const auto provide = [&](const char* name, auto write) {
    if (files.count(name) == 0) files[name] = write(definition_);
  };
  provide("tokenizer.json", write_tokenizer_json);
  provide("vocab.json", write_vocab_json);
  provide("merges.txt", write_merges_text);
  provide("tokenizer_config.json", write_tokenizer_config);
  provide("special_tokens_map.json", write_special_tokens_map);
  for (const auto& [name, bytes] : files) core::write_file(folder + "/" + name, bytes);
}

}  // namespace txtsum::text
