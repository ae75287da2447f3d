#include "text/unigram_tokenizer.h"

#include "text/byte_alphabet.h"
#include "text/byte_level_decoder.h"
#include "text/tokenizer_json.h"
#include "text/unicode_classes.h"
#include "txtsum/core/file.h"

namespace txtsum::text {
namespace {

// U+2581, which stands for a space before a word.
constexpr std::string_view kMark = "\xE2\x96\x81";

std::vector<AddedToken> tokens_where(const std::vector<AddedToken>& tokens, bool normalized) {
  std::vector<AddedToken> result;
  for (const AddedToken& token : tokens) {
    if (token.normalized == normalized) result.push_back(token);
  }
  return result;
}

// The end of the run of characters from `start` on that are whitespace, or are not.
size_t run_end(std::string_view text, size_t start, bool space) {
  while (start < text.size()) {
    const Character character = read_character(text, start);
    if ((character.char_class == CharClass::kSpace) != space) break;
    start += character.length;
  }
  return start;
}

// Of each run of spaces, the first.
std::string join_spaces(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (c != ' ' || result.empty() || result.back() != ' ') result.push_back(c);
  }
  return result;
}

}  // namespace

UnigramTokenizer::UnigramTokenizer(TokenizerDefinition definition, const std::string& model_path,
                                   std::map<std::string, std::string> files)
    : DefinedTokenizer(std::move(definition)),
      files_(std::move(files)),
      charsmap_(definition_.unigram->charsmap, model_path),
      model_(definition_, model_path),
      raw_tokens_(tokens_where(definition_.added_tokens, false)),
      normalized_tokens_([&] {
        std::vector<AddedToken> tokens = tokens_where(definition_.added_tokens, true);
        for (AddedToken& token : tokens) token.content = normalize(token.content);
        return tokens;
      }()) {
  const auto set = [&](int32_t id, const std::string& token) {
    if (static_cast<size_t>(id) >= texts_.size()) texts_.resize(id + 1);
    texts_[id] = token;
  };
  for (const auto& [token, id] : definition_.model.vocabulary) set(id, token);
  for (const AddedToken& token : definition_.added_tokens) {
    set(token.id, token.normalized ? normalize(token.content) : token.content);
  }
  special_.resize(texts_.size());
  for (const AddedToken& token : definition_.added_tokens) special_[token.id] = token.special ? 1 : 0;

  const UnigramDefinition& unigram = *definition_.unigram;
  std::string content = write_tokenizer_json(definition_) + write_special_tokens_map(definition_) + unigram.charsmap;
  content.append(reinterpret_cast<const char*>(unigram.scores.data()), unigram.scores.size() * sizeof(double));
  content += std::to_string(unigram.unk_id) + (unigram.splits_at_whitespace ? "split" : "join") +
             (definition_.truncate_left ? "left" : "right") + (definition_.clean_up_spaces ? "clean" : "");
  fingerprint_ = core::content_hash(content);
}

std::string UnigramTokenizer::normalize(std::string_view text) const {
  std::string normalized = charsmap_.normalize(text);
  return definition_.unigram->splits_at_whitespace ? normalized : join_spaces(normalized);
}

void UnigramTokenizer::encode_word(std::string_view word, WordCache* cache, std::vector<int32_t>* ids) const {
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

// The Metaspace pre-tokenizer: spaces become marks, a mark comes first, and each mark starts a word.
void UnigramTokenizer::encode_part(std::string_view part, WordCache* cache, std::vector<int32_t>* ids) const {
  std::string marked(part.starts_with(' ') || part.starts_with(kMark) ? "" : kMark);
  for (const char c : part) {
    if (c == ' ') {
      marked += kMark;
    } else {
      marked.push_back(c);
    }
  }
  const std::string_view view = marked;
  for (size_t start = 0; start < view.size();) {
    const size_t end = std::min(view.find(kMark, start + kMark.size()), view.size());
    encode_word(view.substr(start, end - start), cache, ids);
    start = end;
  }
}

void UnigramTokenizer::encode_text(std::string_view normalized, WordCache* cache, std::vector<int32_t>* ids) const {
  if (!definition_.unigram->splits_at_whitespace) {
    if (!normalized.empty()) encode_part(normalized, cache, ids);
    return;
  }
  for (size_t start = run_end(normalized, 0, true); start < normalized.size();) {
    const size_t end = run_end(normalized, start, false);
    encode_part(normalized.substr(start, end - start), cache, ids);
    start = run_end(normalized, end, true);
  }
}

std::vector<int32_t> UnigramTokenizer::encode(std::string_view text, bool add_special_tokens) const {
  WordCache& cache = WordCache::of_thread(number_);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (add_special_tokens) append_ids(definition_.post_processor.prefix, &ids);
  // What is ill-formed has no id of its own here; it is what decoding would show.
  const std::string valid = to_valid_utf8(text);
  std::vector<Piece> pieces;
  raw_tokens_.split(valid, &pieces);
  for (const Piece& piece : pieces) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      continue;
    }
    const std::string normalized = normalize(piece.text);
    std::vector<Piece> parts;
    normalized_tokens_.split(normalized, &parts);
    for (const Piece& part : parts) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        encode_text(part.text, &cache, &ids);
      }
    }
  }
  if (add_special_tokens) append_ids(definition_.post_processor.suffix, &ids);
  return ids;
}

std::string UnigramTokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string text;
  bool first = true;
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= texts_.size() || (skip_special_tokens && is_special(id))) continue;
    const std::string_view token = texts_[id];
    // Every mark is a space, but those of the first token are left out.
    for (size_t start = 0; start < token.size();) {
      const size_t mark = std::min(token.find(kMark, start), token.size());
      text.append(token, start, mark - start);
      if (mark < token.size() && !first) text.push_back(' ');
      start = mark + kMark.size();
    }
    first = first && token.empty();
  }
  return definition_.clean_up_spaces ? clean_up_spaces(std::move(text)) : text;
}

bool UnigramTokenizer::is_special(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < special_.size() && special_[id] != 0;
}

void UnigramTokenizer::save(const std::string& folder) const {
  for (const auto& [name, bytes] : files_) core::write_file(folder + "/" + name, bytes);
}

}  // namespace txtsum::text
