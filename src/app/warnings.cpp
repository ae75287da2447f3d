#include "app/warnings.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "txtsum/app/table.h"
#include "txtsum/core/log.h"

namespace txtsum::app {
namespace {

/// Share of sources whose cutting is nothing to speak of.
constexpr double kSourcesMayBeCut = 0.05;
/// Share of the limit from which on the mean summary counts as cut.
constexpr double kAtTheLimit = 0.95;

std::string count(int64_t value) { return with_separators(value); }

std::string share(int64_t part, int64_t whole) {
  char text[48];
  std::snprintf(text, sizeof(text), " (%.3g %%)", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return count(part) + " of " + count(whole) + text;
}

std::string setting(const char* key, int64_t value) { return std::string(key) + "=" + std::to_string(value); }

/// What to set where a limit should be `wanted` and the model has `positions`.
std::string way_out(const char* key, int64_t wanted, int64_t positions, const char* effect) {
  if (wanted <= positions) return setting(key, wanted) + effect;
  return "the model has no more than " + count(positions) + " positions (docs/long_documents.md)";
}

/// Whether a split is a share of the training documents.
bool is_share(const std::string& split, const config::DataConfig& section) {
  return (split == "validation" && section.validation.empty()) || (split == "test" && section.test.empty());
}

/// The key that made a split: of its files, or of its share.
std::string key_of(const std::string& split, const config::DataConfig& section) {
  return "data." + split + (is_share(split, section) ? "_share" : "");
}

/// Where a split's documents are, for who wants to take some out.
std::string files_of(const std::string& split, const config::DataConfig& section) {
  if (!is_share(split, section)) return "data." + split;
  return "data.train (of which " + key_of(split, section) + " makes " + split + ")";
}

void check_references(const data::SplitReport& split, const config::DataConfig& section, const model::ModelFacts& facts,
                      Warnings& list) {
  if (split.target.truncated == 0) return;
  constexpr const char* kKey = "data.max_target_tokens";
  const char* effect = split.name == "train" ? "the model does not learn how they end"
                                             : "the loss leaves the rest out, which ROUGE does not";
  list.push_back({"references_truncated", kKey, static_cast<double>(split.target.truncated),
                  split.name + ": " + share(split.target.truncated, split.examples) + " references are cut at " +
                      setting(kKey, section.max_target_tokens) + ": " + effect + "; " +
                      way_out(kKey, split.target.max, facts.max_target_tokens, " keeps them whole")});
}

void check_sources(const data::SplitReport& split, const config::DataConfig& section, const model::ModelFacts& facts,
                   Warnings& list) {
  const double part = static_cast<double>(split.source.truncated) / static_cast<double>(split.examples);
  if (part <= kSourcesMayBeCut) return;
  constexpr const char* kKey = "data.max_source_tokens";
  list.push_back({"sources_truncated", kKey, 100.0 * part,
                  split.name + ": " + share(split.source.truncated, split.examples) + " sources are cut at " +
                      setting(kKey, section.max_source_tokens) + ", " + count(split.source.truncated_tokens) +
                      " tokens in all are not read; " +
                      way_out(kKey, split.source.p95, facts.max_source_tokens, " cuts 5 %")});
}

void check_length(const data::SplitReport& split, const generate::GenerationSettings& settings,
                  const model::ModelFacts& facts, Warnings& list) {
  const int64_t limit = settings.max_length - 1;
  if (limit >= split.target.p99) return;
  constexpr const char* kKey = "generation.max_new_tokens";
  list.push_back({"generation_shorter_than_references", kKey, static_cast<double>(split.target.p99),
                  split.name + ": summaries end at " + setting(kKey, limit) +
                      ", and the 99th percentile of the references is " + count(split.target.p99) + " tokens; " +
                      way_out(kKey, split.target.p99, facts.max_target_tokens - 1, " holds 99 % of them")});
}

/// Beams by the checkpoint's own word: of generation_config.json, else of config.json, else what config.json says of
/// summarizing.
int64_t beams_of_checkpoint(const ModelFiles& files) {
  const auto beams = [](const core::Json& json) -> int64_t {
    if (!json.is_object() || !json.contains("num_beams") || !json.at("num_beams").is_number_integer()) return 0;
    return json.at("num_beams").get<int64_t>();
  };
  if (const int64_t own = beams(files.generation_config)) return own;
  if (const int64_t old = beams(files.config)) return old;
  int64_t most = 0;
  const auto tasks = files.config.find("task_specific_params");
  if (tasks == files.config.end() || !tasks->is_object()) return most;
  for (const auto& [task, values] : tasks->items()) {
    if (task.starts_with("summarization")) most = std::max(most, beams(values));
  }
  return most;
}

/// One id or a list of them; none where nothing is said.
std::vector<int64_t> ids_of(const core::Json& json, const std::string& key) {
  if (!json.is_object() || !json.contains(key)) return {};
  const core::Json& value = json.at(key);
  if (value.is_number_integer()) return {value.get<int64_t>()};
  std::vector<int64_t> ids;
  if (!value.is_array()) return ids;
  for (const core::Json& id : value) {
    if (id.is_number_integer()) ids.push_back(id.get<int64_t>());
  }
  return ids;
}

/// Compares what the files say of the tokens that begin and end a summary.
class TokenChecks {
 public:
  TokenChecks(const generate::ResolvedSettings& resolved, const ModelFiles& files, Warnings& list)
      : resolved_(resolved),
        settings_(resolved.settings),
        files_(files),
        ends_(files.tokenizer->encode("")),
        list_(list) {}

  void check_start(const model::ModelFacts& facts) {
    const int64_t start = settings_.decoder_start_id;
    if (start != facts.decoder_start_id) {
      add("decoder_start_token_id", start,
          "generation starts from " + named(start) + ", by " + origin("decoder_start_token_id") +
              ", and training from " + named(facts.decoder_start_id) + ", by config.json");
    }
    if (!files_.tokenizer->is_special(static_cast<int32_t>(start))) {
      add("decoder_start_token_id", start,
          "generation starts from " + named(start) + ", which the tokenizer does not have as a special token");
    }
  }

  void check_forced_first() {
    const int64_t forced = settings_.forced_bos_id;
    check_files("forced_bos_token_id");
    if (forced < 0) return;
    const int64_t first = ends_.size() > 1 ? ends_.front() : -1;
    if (forced == first) return;
    add("forced_bos_token_id", forced,
        "summaries are made to begin with " + named(forced) + ", and references begin with " +
            (first < 0 ? "their text" : named(first)));
  }

  void check_forced_last() {
    check_files("forced_eos_token_id");
    for (const int64_t forced : settings_.forced_eos_ids) {
      if (is_end(forced)) continue;
      add("forced_eos_token_id", forced,
          "summaries are made to end with " + named(forced) + " at the limit, which is no end token");
    }
  }

  void check_end() {
    if (ends_.empty() || is_end(ends_.back())) return;
    list_.push_back({"tokens_disagree", "model.checkpoint", static_cast<double>(settings_.eos_ids.front()),
                     "eos_token_id: summaries end with " + named(settings_.eos_ids.front()) + ", and references with " +
                         named(ends_.back()) +
                         ": change eos_token_id in the folder's generation_config.json or config.json"});
  }

 private:
  bool is_end(int64_t id) const {
    return std::find(settings_.eos_ids.begin(), settings_.eos_ids.end(), id) != settings_.eos_ids.end();
  }

  std::string named(int64_t id) const {
    const std::optional<std::string> token = files_.tokenizer->id_to_token(static_cast<int32_t>(id));
    return std::to_string(id) + (token ? " (" + *token + ")" : " (no token)");
  }

  std::string origin(const std::string& name) const {
    for (const generate::SettingOrigin& found : resolved_.origins) {
      if (found.name == name) return found.origin;
    }
    return "default";
  }

  /// The two files of the folder, where both say something and the experiment nothing.
  void check_files(const std::string& name) {
    const std::vector<int64_t> own = ids_of(files_.generation_config, name), old = ids_of(files_.config, name);
    if (old.empty() || own.empty() || old == own || origin(name) == "experiment") return;
    add(name, own.front(),
        "generation_config.json says " + named(own.front()) + ", which is followed, and config.json " +
            named(old.front()));
  }

  void add(const std::string& name, int64_t id, const std::string& text) {
    const std::string key = "generation." + name;
    list_.push_back({"tokens_disagree", key, static_cast<double>(id), name + ": " + text + "; set " + key});
  }

  const generate::ResolvedSettings& resolved_;
  const generate::GenerationSettings& settings_;
  const ModelFiles& files_;
  const std::vector<int32_t> ends_;  // what stands around a reference
  Warnings& list_;
};

}  // namespace

Warnings generation_warnings(const generate::ResolvedSettings& resolved, const ModelFiles& files,
                             const model::ModelFacts& facts) {
  Warnings list;
  for (const std::string& text : resolved.warnings) list.push_back({"setting_not_followed", "", std::nullopt, text});
  const int64_t beams = beams_of_checkpoint(files);
  if (resolved.settings.beams == 1 && beams > 1) {
    list.push_back({"one_beam", "generation.beams", static_cast<double>(beams),
                    "summaries are written by greedy search (generation.beams=1), and the checkpoint's files say " +
                        std::to_string(beams) + " beams; " + setting("generation.beams", beams) + " follows them"});
  }
  TokenChecks tokens(resolved, files, list);
  tokens.check_start(facts);
  tokens.check_forced_first();
  tokens.check_forced_last();
  tokens.check_end();
  return list;
}

Warnings data_warnings(const data::DataReport& report, const config::DataConfig& section,
                       const std::vector<std::string>& summarized, const generate::GenerationSettings& settings,
                       const model::ModelFacts& facts) {
  Warnings list;
  for (const data::SplitReport& split : report.splits) {
    check_references(split, section, facts, list);
    check_sources(split, section, facts, list);
    const bool is_summarized = std::find(summarized.begin(), summarized.end(), split.name) != summarized.end();
    if (is_summarized) check_length(split, settings, facts, list);
  }
  for (const data::LeakReport& leak : report.leaks) {
    if (leak.examples == 0) continue;
    list.push_back({"splits_leak", key_of(leak.into, section), static_cast<double>(leak.examples),
                    leak.into + ": " + count(leak.examples) + " of its documents are in " + leak.from +
                        " too, which flatters its scores; take them out of one of " + files_of(leak.from, section) +
                        " and " + files_of(leak.into, section)});
  }
  return list;
}

Warnings output_warnings(const core::Json& quality, const generate::GenerationSettings& settings) {
  Warnings list;
  const int64_t limit = settings.max_length - 1;
  for (const auto& [split, scores] : quality.items()) {
    if (!scores.is_object() || !scores.contains("gen_len")) continue;
    // gen_len counts all that is no padding.
    const double start = settings.decoder_start_id == settings.pad_id ? 0.0 : 1.0;
    const double mean = scores.at("gen_len").get<double>() - start;
    if (mean < kAtTheLimit * static_cast<double>(limit)) continue;
    char text[32];
    std::snprintf(text, sizeof(text), "%.4g", mean);
    list.push_back({"summaries_reach_limit", "generation.max_new_tokens", mean,
                    split + ": the mean summary has " + text + " tokens, with " +
                        setting("generation.max_new_tokens", limit) +
                        ": most end because they must; raise it, or, where the references are shorter, train longer "
                        "and with whole references (data.max_target_tokens)"});
  }
  return list;
}

void log_and_add(Warnings& list, const Warnings& more) {
  for (const Warning& warning : more) core::log_warning(warning.text);
  list.insert(list.end(), more.begin(), more.end());
}

core::Json to_json(const Warnings& warnings) {
  core::Json list = core::Json::array();
  for (const Warning& warning : warnings) {
    const core::Json value = warning.value ? core::Json(*warning.value) : core::Json(nullptr);
    list.push_back({{"name", warning.name}, {"key", warning.key}, {"value", value}, {"text", warning.text}});
  }
  return list;
}

}  // namespace txtsum::app
