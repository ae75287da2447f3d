#include "txtsum/config/generation_config.h"

#include <algorithm>

#include "txtsum/config/field.h"

namespace txtsum::config {
namespace {

constexpr std::string_view kModels = "the model's generation_config.json";

void describe_rules(GenerationConfig& generation, FieldVisitor& visitor) {
  visitor.field("no_repeat_ngram", generation.no_repeat_ngram,
                {.help = "No sequence of so many tokens twice in a summary; 0: off.",
                 .unit = "tokens",
                 .minimum = 0,
                 .default_note = kModels});
  visitor.field("encoder_no_repeat_ngram", generation.encoder_no_repeat_ngram,
                {.help = "No sequence of so many tokens of the document in its summary; 0: off.",
                 .unit = "tokens",
                 .minimum = 0,
                 .default_note = kModels});
  visitor.field("repetition_penalty", generation.repetition_penalty,
                {.help = "Divides (or, below zero, multiplies) the logits of tokens already written; 1: off.",
                 .minimum = 0,
                 .above_minimum = true,
                 .default_note = kModels});
  visitor.field("renormalize_logits", generation.renormalize_logits,
                {.help = "Beam search scores tokens by their probability among those that the rules leave, as "
                         "transformers' renormalize_logits; greedy search chooses the same either way.",
                 .default_note = kModels});
}

void describe_ids(GenerationConfig& generation, FieldVisitor& visitor) {
  visitor.field(
      "forced_bos_token_id", generation.forced_bos_token_id,
      {.help = "Token forced right after the start token; -1: none.", .minimum = -1, .default_note = kModels});
  visitor.field("forced_eos_token_id", generation.forced_eos_token_id,
                {.help = "Token forced at max_new_tokens; -1: none.", .minimum = -1, .default_note = kModels});
  visitor.field("decoder_start_token_id", generation.decoder_start_token_id,
                {.help = "Token that the decoder starts from.", .minimum = 0, .default_note = kModels});
  visitor.field("suppress_tokens", generation.suppress_tokens,
                {.help = "Token ids that never appear; [] for none.", .minimum = 0, .default_note = kModels});
  visitor.field("bad_words_ids", generation.bad_words_ids,
                {.help = "Sequences of token ids that never appear, as in [[5, 9], [12]]; [] for none.",
                 .minimum = 0,
                 .default_note = kModels});
}

}  // namespace

void GenerationConfig::describe(FieldVisitor& visitor) {
  visitor.field("beams", beams,
                {.help = "Beams; 1 is greedy search.", .minimum = 1, .maximum = 1024, .default_note = kModels});
  visitor.field("max_new_tokens", max_new_tokens,
                {.help = "Longest summary, counted after the start token with forced and end tokens: transformers' "
                         "max_new_tokens, which is its max_length - 1.",
                 .unit = "tokens",
                 .minimum = 1,
                 .default_note = kModels});
  visitor.field("min_new_tokens", min_new_tokens,
                {.help = "Shortest summary, counted the same way: transformers' min_length - 1.",
                 .unit = "tokens",
                 .minimum = 0,
                 .default_note = kModels});
  visitor.field(
      "length_penalty", length_penalty,
      {.help = "A hypothesis' score is its log-probability / length^length_penalty.", .default_note = kModels});
  visitor.field("early_stopping", early_stopping,
                {.help = "When a beam search is done, as in transformers: `true` with enough finished hypotheses, "
                         "`false` by a heuristic, `never` only when no better one is possible.",
                 .default_note = kModels});
  describe_rules(*this, visitor);
  describe_ids(*this, visitor);
  visitor.field("hypotheses", hypotheses,
                {.help = "Summaries returned a document, best first; at most beams.",
                 .minimum = 1,
                 .maximum = 1024,
                 .changes_training = false});
  visitor.field("slots", slots,
                {.help = "Documents decoded at the same time, each with its beams; memory grows with it, results do "
                         "not change.",
                 .unit = "documents",
                 .minimum = 1,
                 .maximum = 65536,
                 .changes_training = false});
}

void GenerationConfig::check(Complaints& complaints) const {
  if (min_new_tokens && max_new_tokens && *min_new_tokens > *max_new_tokens) {
    complaints.add("generation.min_new_tokens", "is larger than generation.max_new_tokens");
  }
  if (beams && hypotheses > *beams) {
    complaints.add("generation.hypotheses", "is larger than generation.beams");
  }
  if (bad_words_ids && std::any_of(bad_words_ids->begin(), bad_words_ids->end(),
                                   [](const std::vector<int64_t>& word) { return word.empty(); })) {
    complaints.add("generation.bad_words_ids", "has an empty sequence");
  }
}

}  // namespace txtsum::config
