#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace txtsum::config {

class FieldVisitor;
class Complaints;

/// When a beam search is done; transformers' three modes.
enum class BeamStop { kFalse, kTrue, kNever };
inline std::vector<std::string_view> choice_names(BeamStop) { return {"false", "true", "never"}; }

/// Section `generation`. Everything optional: unset means the model folder's generation_config.json (or config.json).
///
/// Lengths count the tokens after the decoder's start token, forced and end tokens included: transformers'
/// max_new_tokens. Its max_length counts the start token too, so max_length L is max_new_tokens L - 1, and likewise for
/// min_length. Token ids take -1 for `none`, which switches off what the model folder asks for.
struct GenerationConfig {
  std::optional<int64_t> beams;                         ///< 1: greedy.
  std::optional<int64_t> max_new_tokens;                ///< transformers' max_new_tokens (max_length - 1).
  std::optional<int64_t> min_new_tokens;                ///< transformers' min_new_tokens (min_length - 1).
  std::optional<double> length_penalty;                 ///< Score is log-probability / length^penalty.
  std::optional<BeamStop> early_stopping;               ///< true, false or never.
  std::optional<int64_t> no_repeat_ngram;               ///< No n-gram twice in a summary; 0: off.
  std::optional<int64_t> encoder_no_repeat_ngram;       ///< No n-gram of the document in the summary; 0: off.
  std::optional<double> repetition_penalty;             ///< 1: off.
  std::optional<bool> renormalize_logits;               ///< What the rules leave sums to one again.
  std::optional<int64_t> forced_bos_token_id;           ///< First token after the start token; -1: none.
  std::optional<int64_t> forced_eos_token_id;           ///< Last token at the limit; -1: none.
  std::optional<int64_t> decoder_start_token_id;        ///< What the decoder starts from.
  std::optional<std::vector<int64_t>> suppress_tokens;  ///< Ids that never appear.
  std::optional<std::vector<std::vector<int64_t>>> bad_words_ids;  ///< Id sequences that never appear.
  int64_t hypotheses = 1;  ///< Summaries returned a document, best first; at most beams.
  int64_t slots = 32;      ///< Documents decoded at the same time (each with its beams).

  void describe(FieldVisitor& visitor);
  void check(Complaints& complaints) const;
};

}  // namespace txtsum::config
