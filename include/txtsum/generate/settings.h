#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "txtsum/config/generation_config.h"
#include "txtsum/core/json.h"
#include "txtsum/model/seq2seq_model.h"

namespace txtsum::generate {

/// Everything that decides which ids come out, in transformers' terms: lengths count the decoder's start token.
struct GenerationSettings {
  int64_t beams = 1;
  int64_t max_length = 0;
  int64_t min_length = 0;
  double length_penalty = 1.0;
  config::BeamStop early_stopping = config::BeamStop::kFalse;
  int64_t no_repeat_ngram = 0;
  int64_t encoder_no_repeat_ngram = 0;
  double repetition_penalty = 1.0;
  bool renormalize_logits = false;
  int64_t forced_bos_id = -1;  ///< -1: none.
  std::vector<int64_t> forced_eos_ids;
  int64_t decoder_start_id = 2;
  std::vector<int64_t> eos_ids;
  int64_t pad_id = 1;
  std::vector<int64_t> suppress_tokens;
  std::vector<std::vector<int64_t>> bad_words;
  int64_t hypotheses = 1;  ///< Returned for each example, best first.
  int64_t slots = 32;      ///< Examples decoded side by side.
};

/// One line of the start table: what a setting is and who said so.
struct SettingOrigin {
  std::string name;
  std::string value;
  std::string origin;  ///< `experiment`, `generation_config.json`, `config.json` or `default`.
};

struct ResolvedSettings {
  GenerationSettings settings;
  std::vector<SettingOrigin> origins;
  std::vector<std::string> warnings;  ///< Settings of the folder that are not followed, such as sampling.
};

/// Settles every setting: the experiment's word first, then the folder's generation_config.json (where there is none,
/// the old keys of its config.json), then transformers' default (for the length: 128 new tokens or what the
/// model's positions allow, not transformers' 19).
/// The two JSON values may be null. Throws UserError for values that contradict each other or the model's positions.
ResolvedSettings resolve_settings(const config::GenerationConfig& experiment, const core::Json& generation_config,
                                  const core::Json& model_config, const model::ModelFacts& facts);

}  // namespace txtsum::generate
