#include "text/byte_level_tokenizer.h"

#include "text/tokenizer_folder.h"
#include "text/tokenizer_json.h"
#include "txtsum/core/file.h"

namespace txtsum::text {

ByteLevelTokenizer::ByteLevelTokenizer(TokenizerDefinition definition, const std::string& model_path,
                                       std::map<std::string, std::string> files)
    : DefinedTokenizer(std::move(definition)),
      files_(std::move(files)),
      added_tokens_(definition_.added_tokens),
      model_(definition_.model, model_path),
      decoder_(definition_) {
  fingerprint_ =
      core::content_hash(write_tokenizer_json(definition_) + write_special_tokens_map(definition_) +
                         (definition_.truncate_left ? "left" : "right") + (definition_.clean_up_spaces ? "clean" : ""));
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

std::string ByteLevelTokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  return decoder_.decode(ids, skip_special_tokens);
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
