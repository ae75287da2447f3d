#include "txtsum/generate/settings.h"

#include <algorithm>
#include <optional>

#include "txtsum/core/error.h"

namespace txtsum::generate {
namespace {

/// The default length: the reference script's max_target_length, not transformers' 20 that cuts summaries short.
constexpr int64_t kDefaultNewTokens = 128;

std::string text_of(const core::Json& value) { return core::to_line(value); }

/// Looks settings up in the order of precedence and notes who answered.
class Resolver {
 public:
  Resolver(const core::Json& generation_config, const core::Json& model_config, ResolvedSettings& result)
      : generation_config_(generation_config), model_config_(model_config), result_(result) {}

  /// The folder's value of transformers' key `key`, or none. As in transformers, config.json's old keys count only
  /// where there is no generation_config.json.
  std::optional<core::Json> folder_value(const std::string& key) {
    const bool has_file = generation_config_.is_object();
    const core::Json& json = has_file ? generation_config_ : model_config_;
    if (!json.is_object() || !json.contains(key) || json.at(key).is_null()) return std::nullopt;
    origin_ = has_file ? "generation_config.json" : "config.json";
    return json.at(key);
  }

  template <typename Value>
  Value take(const std::string& name, const std::optional<Value>& experiment, const std::string& key,
             const Value& fallback) {
    Value value = fallback;
    origin_ = "default";
    if (experiment) {
      origin_ = "experiment";
      value = *experiment;
    } else if (const auto found = folder_value(key)) {
      value = convert<Value>(*found, key);
    }
    note(name, text_of(core::Json(value)));
    return value;
  }

  void note(const std::string& name, const std::string& value) { result_.origins.push_back({name, value, origin_}); }

  void set_origin(const std::string& origin) { origin_ = origin; }

  template <typename Value>
  Value convert(const core::Json& value, const std::string& key) const {
    try {
      return value.get<Value>();
    } catch (const core::Json::exception&) {
      throw core::DataError(origin_ + ": key '" + key + "' has the unusable value " + text_of(value));
    }
  }

  /// One id or a list of them.
  std::vector<int64_t> ids(const std::string& key) {
    const auto found = folder_value(key);
    if (!found) return {};
    if (found->is_array()) return convert<std::vector<int64_t>>(*found, key);
    return {convert<int64_t>(*found, key)};
  }

  const std::string& origin() const { return origin_; }

 private:
  const core::Json& generation_config_;
  const core::Json& model_config_;
  ResolvedSettings& result_;
  std::string origin_;
};

config::BeamStop stop_of(const core::Json& value, const std::string& origin) {
  if (value.is_boolean()) return value.get<bool>() ? config::BeamStop::kTrue : config::BeamStop::kFalse;
  if (value == "never") return config::BeamStop::kNever;
  throw core::DataError(origin + ": key 'early_stopping' has the unusable value " + text_of(value));
}

void take_lengths(Resolver& resolver, const config::GenerationConfig& experiment, const model::ModelFacts& facts,
                  GenerationSettings& settings) {
  resolver.set_origin("default");
  settings.max_length = std::min(kDefaultNewTokens + 1, facts.max_target_tokens);
  if (experiment.max_new_tokens) {
    resolver.set_origin("experiment");
    settings.max_length = *experiment.max_new_tokens + 1;
  } else if (const auto count = resolver.folder_value("max_new_tokens")) {
    settings.max_length = resolver.convert<int64_t>(*count, "max_new_tokens") + 1;
  } else if (const auto length = resolver.folder_value("max_length")) {
    settings.max_length = resolver.convert<int64_t>(*length, "max_length");
  }
  resolver.note("max_new_tokens", std::to_string(settings.max_length - 1));
  resolver.set_origin("default");
  settings.min_length = 0;
  if (experiment.min_new_tokens) {
    resolver.set_origin("experiment");
    settings.min_length = *experiment.min_new_tokens + 1;
  } else if (const auto count = resolver.folder_value("min_new_tokens")) {
    settings.min_length = resolver.convert<int64_t>(*count, "min_new_tokens") + 1;
  } else if (const auto length = resolver.folder_value("min_length")) {
    settings.min_length = resolver.convert<int64_t>(*length, "min_length");
  }
  resolver.note("min_new_tokens", std::to_string(std::max<int64_t>(0, settings.min_length - 1)));
}

void take_ids(Resolver& resolver, const config::GenerationConfig& experiment, const model::ModelFacts& facts,
              GenerationSettings& settings) {
  settings.decoder_start_id = resolver.take<int64_t>("decoder_start_token_id", experiment.decoder_start_token_id,
                                                     "decoder_start_token_id", facts.decoder_start_id);
  settings.forced_bos_id =
      resolver.take<int64_t>("forced_bos_token_id", experiment.forced_bos_token_id, "forced_bos_token_id", -1);
  resolver.set_origin("default");
  if (experiment.forced_eos_token_id) {
    resolver.set_origin("experiment");
    if (*experiment.forced_eos_token_id >= 0) settings.forced_eos_ids = {*experiment.forced_eos_token_id};
  } else {
    settings.forced_eos_ids = resolver.ids("forced_eos_token_id");
  }
  resolver.note("forced_eos_token_id", text_of(core::Json(settings.forced_eos_ids)));
  resolver.set_origin("default");
  settings.eos_ids = resolver.ids("eos_token_id");
  if (settings.eos_ids.empty()) settings.eos_ids = {facts.eos_id};
  resolver.note("eos_token_id", text_of(core::Json(settings.eos_ids)));
  const auto pad = resolver.folder_value("pad_token_id");
  settings.pad_id = pad ? resolver.convert<int64_t>(*pad, "pad_token_id") : facts.pad_id;
  settings.suppress_tokens =
      resolver.take<std::vector<int64_t>>("suppress_tokens", experiment.suppress_tokens, "suppress_tokens", {});
  settings.bad_words =
      resolver.take<std::vector<std::vector<int64_t>>>("bad_words_ids", experiment.bad_words_ids, "bad_words_ids", {});
  // As transformers: a bad word that is the end token alone is left out.
  std::erase_if(settings.bad_words, [&](const std::vector<int64_t>& word) {
    return word.empty() ||
           (word.size() == 1 && std::count(settings.eos_ids.begin(), settings.eos_ids.end(), word[0]) > 0);
  });
}

/// Settings of the folder that change what transformers generates and that this program does not follow.
void warn_of_others(Resolver& resolver, ResolvedSettings& result) {
  const std::vector<std::pair<std::string, core::Json>> neutral = {{"do_sample", false},
                                                                   {"num_beam_groups", 1},
                                                                   {"diversity_penalty", 0.0},
                                                                   {"penalty_alpha", nullptr},
                                                                   {"guidance_scale", nullptr},
                                                                   {"encoder_repetition_penalty", 1.0},
                                                                   {"sequence_bias", nullptr},
                                                                   {"exponential_decay_length_penalty", nullptr},
                                                                   {"constraints", nullptr},
                                                                   {"force_words_ids", nullptr},
                                                                   {"begin_suppress_tokens", nullptr}};
  for (const auto& [key, off] : neutral) {
    const auto found = resolver.folder_value(key);
    if (!found || *found == off || (key == "guidance_scale" && *found == 1)) continue;
    result.warnings.push_back(resolver.origin() + " asks for " + key + " = " + text_of(*found) +
                              ", which is not followed");
  }
}

void check(const GenerationSettings& s, const model::ModelFacts& facts) {
  const auto fail = [](const std::string& text) { throw core::UserError("generation: " + text); };
  if (s.max_length > facts.max_target_tokens) {
    fail("max_new_tokens " + std::to_string(s.max_length - 1) + " is more than the model's " +
         std::to_string(facts.max_target_tokens) +
         " positions allow; set generation.max_new_tokens=" + std::to_string(facts.max_target_tokens - 1) + " or less");
  }
  if (s.max_length < 2) fail("max_new_tokens must be at least 1");
  if (s.min_length > s.max_length) fail("min_new_tokens is larger than max_new_tokens");
  if (s.beams < 1) fail("beams must be at least 1");
  if (s.hypotheses > s.beams)
    fail("hypotheses " + std::to_string(s.hypotheses) + " is more than beams " + std::to_string(s.beams));
  const auto check_id = [&](const std::string& name, int64_t id, int64_t lowest = 0) {
    if (id < lowest || id >= facts.vocabulary)
      fail(name + " " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(facts.vocabulary));
  };
  check_id("forced_bos_token_id", s.forced_bos_id, -1);  // -1: none
  check_id("decoder_start_token_id", s.decoder_start_id);
  for (const int64_t id : s.forced_eos_ids) check_id("forced_eos_token_id", id);
  for (const int64_t id : s.eos_ids) check_id("eos_token_id", id, -1);
  for (const int64_t id : s.suppress_tokens) check_id("suppress_tokens", id);
  for (const auto& word : s.bad_words) {
    for (const int64_t id : word) check_id("bad_words_ids", id);
  }
}

}  // namespace

ResolvedSettings resolve_settings(const config::GenerationConfig& experiment, const core::Json& generation_config,
                                  const core::Json& model_config, const model::ModelFacts& facts) {
  ResolvedSettings result;
  Resolver resolver(generation_config, model_config, result);
  GenerationSettings& s = result.settings;
  s.beams = resolver.take<int64_t>("beams", experiment.beams, "num_beams", 1);
  take_lengths(resolver, experiment, facts, s);
  s.length_penalty = resolver.take<double>("length_penalty", experiment.length_penalty, "length_penalty", 1.0);
  resolver.set_origin("default");
  if (experiment.early_stopping) {
    resolver.set_origin("experiment");
    s.early_stopping = *experiment.early_stopping;
  } else if (const auto found = resolver.folder_value("early_stopping")) {
    s.early_stopping = stop_of(*found, resolver.origin());
  }
  resolver.note("early_stopping",
                std::string(config::choice_names(s.early_stopping)[static_cast<size_t>(s.early_stopping)]));
  s.no_repeat_ngram = resolver.take<int64_t>("no_repeat_ngram", experiment.no_repeat_ngram, "no_repeat_ngram_size", 0);
  s.encoder_no_repeat_ngram = resolver.take<int64_t>("encoder_no_repeat_ngram", experiment.encoder_no_repeat_ngram,
                                                     "encoder_no_repeat_ngram_size", 0);
  s.repetition_penalty =
      resolver.take<double>("repetition_penalty", experiment.repetition_penalty, "repetition_penalty", 1.0);
  s.renormalize_logits =
      resolver.take<bool>("renormalize_logits", experiment.renormalize_logits, "renormalize_logits", false);
  take_ids(resolver, experiment, facts, s);
  s.hypotheses = experiment.hypotheses;
  s.slots = experiment.slots;
  warn_of_others(resolver, result);
  check(s, facts);
  return result;
}

}  // namespace txtsum::generate
