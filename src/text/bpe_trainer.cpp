#include "txtsum/text/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "text/byte_alphabet.h"
#include "text/byte_level_tokenizer.h"
#include "text/tokenizer_folder.h"
#include "txtsum/core/check.h"
#include "txtsum/core/error.h"

namespace txtsum::text {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    const uint64_t key = static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second);
    return static_cast<size_t>(key * 0x9E3779B97F4A7C15u >> 17);
  }
};

// A distinct word of the texts.
struct Word {
  std::vector<int32_t> ids;
  int64_t count;
};

struct PairUse {
  int64_t count = 0;
  /// Words that have held the pair; some may hold it no longer, and one may be here more than once.
  std::vector<uint32_t> words;
};

// The most frequent pair first, then the lower ids.
struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

std::unordered_map<std::string, int64_t> count_words(const NextText& next_text, const PreTokenizer& settings) {
  std::unordered_map<std::string, int64_t> counts;
  std::string text;
  while (next_text(&text)) {
    if (settings.add_prefix_space && !text.empty() && text[0] != ' ') text.insert(text.begin(), ' ');
    for (size_t start = 0; start < text.size();) {
      const size_t end = word_end(text, start);
      ++counts[text.substr(start, end - start)];
      start = end;
    }
  }
  return counts;
}

class Trainer {
 public:
  Trainer(const BpeTrainerOptions& options, TokenizerDefinition* definition)
      : options_(options), model_(definition->model) {
    for (const std::string& token : options.special_tokens) add_vocabulary(token);
    // The order of their characters, as Hugging Face sorts the alphabet.
    std::vector<std::pair<std::string, int>> symbols;
    for (int byte = 0; byte < 256; ++byte) symbols.emplace_back(byte_symbol(static_cast<unsigned char>(byte)), byte);
    std::sort(symbols.begin(), symbols.end());
    for (const auto& [symbol, byte] : symbols) byte_ids_[byte] = add_vocabulary(symbol);
  }

  void train(const std::unordered_map<std::string, int64_t>& counts) {
    add_words(counts);
    for (const auto& [pair, use] : uses_) queue_.push({use.count, pair});
    while (model_.vocabulary.size() < options_.vocab_size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const int64_t count = uses_[best.pair].count;
      if (count != best.count) {  // Counted before other merges took some of it.
        if (count > 0) queue_.push({count, best.pair});
        continue;
      }
      if (count < static_cast<int64_t>(std::max<uint64_t>(options_.min_frequency, 1))) break;
      merge(best.pair);
    }
  }

 private:
  int32_t add_vocabulary(const std::string& token) {
    const auto [entry, is_new] = ids_.emplace(token, static_cast<int32_t>(model_.vocabulary.size()));
    if (is_new) model_.vocabulary.emplace_back(token, entry->second);
    return entry->second;
  }

  void add_words(const std::unordered_map<std::string, int64_t>& counts) {
    for (const auto& [text, count] : counts) {
      Word word{{}, count};
      for (const char byte : text) word.ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      const auto index = static_cast<uint32_t>(words_.size());
      for (size_t i = 0; i + 1 < word.ids.size(); ++i) count_pair({word.ids[i], word.ids[i + 1]}, count, index);
      words_.push_back(std::move(word));
    }
  }

  void count_pair(Pair pair, int64_t count, uint32_t word) {
    PairUse& use = uses_[pair];
    use.count += count;
    if (count > 0 && (use.words.empty() || use.words.back() != word)) use.words.push_back(word);
  }

  void merge(Pair pair) {
    const std::string& left = model_.vocabulary[pair.first].first;
    const std::string& right = model_.vocabulary[pair.second].first;
    model_.merges.emplace_back(left, right);
    const int32_t id = add_vocabulary(left + right);
    grown_.clear();
    const std::vector<uint32_t> words = std::move(uses_[pair].words);
    for (const uint32_t word : words) merge_in_word(word, pair, id);
    uses_[pair] = {};
    // The order does not matter: the queue orders by count and ids alone.
    for (const Pair& grown : grown_) queue_.push({uses_[grown].count, grown});
  }

  void merge_in_word(uint32_t index, Pair pair, int32_t id) {
    Word& word = words_[index];
    std::vector<int32_t>& ids = word.ids;
    size_t kept = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (i + 1 == ids.size() || ids[i] != pair.first || ids[i + 1] != pair.second) {
        ids[kept++] = ids[i];
        continue;
      }
      // What is before is already merged; what is after is not yet.
      if (kept > 0) {
        count_pair({ids[kept - 1], ids[i]}, -word.count, index);
        grow({ids[kept - 1], id}, word.count, index);
      }
      if (i + 2 < ids.size()) {
        count_pair({ids[i + 1], ids[i + 2]}, -word.count, index);
        grow({id, ids[i + 2]}, word.count, index);
      }
      ids[kept++] = id;
      ++i;
    }
    ids.resize(kept);
  }

  void grow(Pair pair, int64_t count, uint32_t word) {
    count_pair(pair, count, word);
    grown_.insert(pair);
  }

  const BpeTrainerOptions& options_;
  BpeDefinition& model_;
  std::unordered_map<std::string, int32_t> ids_;
  int32_t byte_ids_[256];
  std::vector<Word> words_;
  std::unordered_map<Pair, PairUse, PairHash> uses_;
  std::unordered_set<Pair, PairHash> grown_;
  std::priority_queue<Candidate> queue_;
};

void check_options(const BpeTrainerOptions& options) {
  const auto& tokens = options.special_tokens;
  const std::unordered_set<std::string> distinct(tokens.begin(), tokens.end());
  if (distinct.size() != tokens.size() || distinct.count("") != 0) {
    throw core::UserError("special tokens must differ from each other and not be empty");
  }
  for (const char* required : {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}) {
    if (distinct.count(required) == 0) {
      throw core::UserError(std::string("the special tokens lack ") + required + ", which BART's conventions need");
    }
  }
  const size_t least = tokens.size() + 256;
  if (options.vocab_size < least || options.vocab_size > kLargestId) {
    throw core::UserError("vocabulary size " + std::to_string(options.vocab_size) + ": from " + std::to_string(least) +
                          " (" + std::to_string(tokens.size()) + " special tokens and 256 bytes) to " +
                          std::to_string(kLargestId));
  }
}

}  // namespace

std::unique_ptr<Tokenizer> train_bpe(const NextText& next_text, const BpeTrainerOptions& options) {
  check_options(options);
  TokenizerDefinition definition;
  definition.pre_tokenizer.add_prefix_space = options.add_prefix_space;
  definition.model_max_length = options.model_max_length;
  Trainer(options, &definition).train(count_words(next_text, definition.pre_tokenizer));
  for (const std::string& content : options.special_tokens) {
    AddedToken token;
    token.content = content;
    token.lstrip = content == "<mask>";
    token.special = true;
    add_token(&definition, token);
  }
  complete_special_tokens(&definition);
  definition.post_processor = {{{"<s>", *find_token(definition, "<s>")}}, {{"</s>", *find_token(definition, "</s>")}}};
  return std::make_unique<ByteLevelTokenizer>(std::move(definition), "the trained tokenizer",
                                              std::map<std::string, std::string>{});
}

}  // namespace txtsum::text
