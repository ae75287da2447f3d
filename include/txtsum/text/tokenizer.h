#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace txtsum::text {

/// Ids of the tokens with a role; a role that the folder does not name is empty.
struct SpecialIds {
  std::optional<int32_t> bos, eos, pad, unk, mask, cls, sep;
};

/// A text's ids, cut to a limit.
struct TruncatedIds {
  std::vector<int32_t> ids;
  /// Number of ids, special tokens included, that the text has without a limit; more than ids.size() means cut.
  size_t full_length = 0;
};

/// A tokenizer of one of two kinds: byte-level BPE, as BART, LED, RoBERTa and GPT-2 use it, and SentencePiece unigram,
/// as T5 and Pegasus do. Stages: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder. Its ids equal
/// those of Hugging Face `tokenizers` on any valid UTF-8. In invalid UTF-8, for byte-level BPE each byte that belongs
/// to no well-formed character counts as one character that is neither letter, digit nor space, and its id is that of
/// the byte: nothing is lost, and decoding gives U+FFFD as for any invalid bytes. For unigram, ill-formed parts are
/// U+FFFD from the start.
///
/// All const functions may be called from several threads at once; each thread keeps a word cache of its own.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Loads a model folder: `tokenizer.json`; or else `spiece.model` or `sentencepiece.bpe.model` (T5's, Pegasus' or
  /// mBART-50's conventions, by the `tokenizer_class` of tokenizer_config.json, or config.json's `model_type`); or else
  /// `vocab.json` + `merges.txt` (BART's conventions: `<s> text </s>`, `<mask>` takes the spaces before it); beside
  /// them `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` where they exist. The `truncation`
  /// and `padding` sections of tokenizer.json are ignored by design: limits are the caller's and there is no padding.
  /// Everything else that would change ids and is not supported is refused. Throws DataError with path, field, value
  /// found and what is supported, and EnvironmentError where a spiece.model finds no SentencePiece library.
  static std::unique_ptr<Tokenizer> load(const std::string& folder);

  /// Ids of `text`, between the special tokens of the post-processor when `add_special_tokens`.
  virtual std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = true) const = 0;

  /// As encode, cut to at most `max_tokens` ids as transformers' `truncation=True, max_length=max_tokens`: text tokens
  /// are dropped at the end (at the start where tokenizer_config.json has `truncation_side: left`), special tokens
  /// never. Throws UserError when `max_tokens` leaves no room for the special tokens.
  virtual TruncatedIds encode_truncated(std::string_view text, size_t max_tokens,
                                        bool add_special_tokens = true) const = 0;

  /// Text of `ids` as transformers' fast tokenizers decode: unknown ids are skipped, invalid UTF-8 becomes U+FFFD.
  /// As in transformers 5, spaces before punctuation are removed only where tokenizer_config.json has
  /// `clean_up_tokenization_spaces` true, and for byte-level BPE
  /// `clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output` too. Pegasus' `<n>`, a line break of its
  /// training texts, stays `<n>`, as in transformers.
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = true) const = 0;

  /// Number of tokens, added ones included: Hugging Face's `len(tokenizer)`.
  virtual size_t vocab_size() const = 0;
  virtual const SpecialIds& special_ids() const = 0;
  /// Number of special tokens that encode adds to a text.
  virtual size_t added_special_tokens() const = 0;
  /// Whether decode leaves `id` out when it skips special tokens.
  virtual bool is_special(int32_t id) const = 0;

  /// Id of a token as the vocabulary writes it (`Ġthe`, `▁the`, `<s>`); empty when there is none.
  virtual std::optional<int32_t> token_to_id(std::string_view token) const = 0;
  /// Token of `id` as the vocabulary writes it; empty when there is none.
  virtual std::optional<std::string> id_to_token(int32_t id) const = 0;

  /// Writes tokenizer.json, vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json into `folder`
  /// (created if missing): byte for byte those that were loaded, and those that were absent made from the definition.
  /// Of a spiece.model, the files that were loaded, and a tokenizer_config.json with the class where there was none.
  /// Throws DataError.
  virtual void save(const std::string& folder) const = 0;

  /// Hash of all that decides ids and decoding, the same for every folder that defines the same tokenizer: a cache key.
  virtual const std::string& fingerprint() const = 0;
};

}  // namespace txtsum::text
