#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/pre_tokenizer.h"

namespace txtsum::text {

/// The largest id that a file may give a token. Ids may have holes, and tables have a place for each id.
inline constexpr int32_t kLargestId = (1 << 22) - 1;

/// A token that is found in the text before the model sees it.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  /// Found only where no \w character touches it.
  bool single_word = false;
  /// Takes the spaces before (after) it.
  bool lstrip = false;
  bool rstrip = false;
  /// Looked for after those that are not normalized.
  bool normalized = false;
  /// Left out by decode when it skips special tokens.
  bool special = false;
};

/// Tokens that the post-processor puts before and after a text.
struct PostProcessor {
  std::vector<std::pair<std::string, int32_t>> prefix, suffix;
};

/// The byte-pair model: tokens and merges in the byte alphabet.
struct BpeDefinition {
  /// (token, id) in the order of ids; ids may have holes.
  std::vector<std::pair<std::string, int32_t>> vocabulary;
  /// The first merge has the highest priority.
  std::vector<std::pair<std::string, std::string>> merges;
  /// Token of a byte that the vocabulary lacks; without one, such bytes are left out.
  std::optional<std::string> unk_token;
  /// Whether neighbouring unknown bytes make one unknown token.
  bool fuse_unk = false;
  /// Whether a word that is itself a token is taken whole before any merge is tried.
  bool ignore_merges = false;
};

/// A unigram model and the stages before it. Its tokens are BpeDefinition::vocabulary, whose ids then have no holes.
struct UnigramDefinition {
  /// By id.
  std::vector<double> scores;
  int32_t unk_id = 0;
  /// SentencePiece's compiled normalization.
  std::string charsmap;
  /// Whether whitespace only separates words (T5). If not, runs of spaces become one, and spaces at the ends count
  /// (Pegasus).
  bool splits_at_whitespace = false;
};

/// Everything that defines a tokenizer, stage by stage; plain data as read from a folder.
struct TokenizerDefinition {
  std::vector<AddedToken> added_tokens;
  PreTokenizer pre_tokenizer;
  BpeDefinition model;
  /// Where the model is a unigram model; `pre_tokenizer` and the rest of `model` are then unused.
  std::optional<UnigramDefinition> unigram;
  PostProcessor post_processor;
  /// Role (`bos_token`, ...) to token.
  std::map<std::string, std::string> special_tokens;
  bool clean_up_spaces = false;
  bool truncate_left = false;
  int64_t model_max_length = 1024;
};

/// Roles that tokenizer_config.json and special_tokens_map.json may name, in the order in which transformers adds them.
inline constexpr const char* kSpecialRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                "pad_token", "cls_token", "mask_token"};

/// Key of tokenizer_config.json without which transformers 5 ignores `clean_up_tokenization_spaces` for BPE.
inline constexpr const char* kForceCleanUpKey =
    "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output";

/// Id of `token` among the model's and the added tokens.
std::optional<int32_t> find_token(const TokenizerDefinition& definition, const std::string& token);

/// Adds `token` unless there is one with its content: with the model's id where the model has it, else with the next
/// free id as Hugging Face chooses it. Returns whether it was added.
bool add_token(TokenizerDefinition* definition, AddedToken token);

}  // namespace txtsum::text
