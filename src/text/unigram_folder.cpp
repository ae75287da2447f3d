#include "text/unigram_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "text/sentencepiece_file.h"
#include "text/tokenizer_json.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"
#include "txtsum/core/parse_json.h"

namespace txtsum::text {
namespace {

using core::Json;

// Of a kind that a number in a file adds, and each of which is looked for among all others.
constexpr int64_t kMostTokens = 10000;

// What the readers of both families share.
struct Source {
  std::string folder;
  std::string model_path;
  std::string config_path;
  SentencePieceFile model;
  /// tokenizer_config.json, with special_tokens_map.json merged in as transformers does it.
  Json config;
};

Json parse_object(const std::string& text, const std::string& path) {
  Json value = core::parse_json(text, path);
  if (!value.is_object()) throw core::DataError(path + ": the file is no JSON object");
  return value;
}

std::string string_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The text of a token that tokenizer_config.json names; `otherwise` where it does not, nothing where it says null.
std::optional<std::string> token_of(const Source& source, const char* key, const char* otherwise) {
  const auto found = source.config.find(key);
  if (found == source.config.end()) return otherwise;
  if (found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && !string_of(*found, "content").empty()) return string_of(*found, "content");
  throw core::DataError(source.config_path + ": " + key + " is " + core::to_line(*found) +
                        "; supported: a token, or an object with its content and flags");
}

int64_t number_of(const Source& source, const char* key, int64_t otherwise) {
  const auto found = source.config.find(key);
  if (found == source.config.end() || found->is_null()) return otherwise;
  if (found->is_number_integer() && *found >= 0 && *found <= kMostTokens) return found->get<int64_t>();
  throw core::DataError(source.config_path + ": " + key + " is " + core::to_line(*found) +
                        "; supported: a number from 0 to " + std::to_string(kMostTokens) + " (" +
                        std::to_string(otherwise) + " where it is left out)");
}

void add_piece(const std::string& token, double score, TokenizerDefinition* definition) {
  const auto id = static_cast<int32_t>(definition->model.vocabulary.size());
  definition->model.vocabulary.emplace_back(token, id);
  definition->unigram->scores.push_back(score);
}

void check_distinct(const TokenizerDefinition& definition, const Source& source, const std::string& advice) {
  std::set<std::string_view> seen;
  for (const auto& [token, id] : definition.model.vocabulary) {
    if (seen.insert(token).second) continue;
    throw core::DataError(source.model_path + ": the token '" + token + "' would have two ids, one of them " +
                          std::to_string(id) + "; " + advice);
  }
}

std::string sentinel(int64_t i) { return "<extra_id_" + std::to_string(i) + ">"; }

// Names the sentinels in a list of special tokens of tokenizer_config.json, if it has one.
void check_sentinels(const Source& source, int64_t extra_ids) {
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    int64_t named = 0;
    for (const Json& token : source.config.value(key, Json::array())) {
      const std::string text = token.is_string() ? token.get<std::string>() : string_of(token, "content");
      named += text.find("<extra_id_") != std::string::npos ? 1 : 0;
    }
    if (named == 0 || named == extra_ids || extra_ids == 0) continue;
    throw core::DataError(source.config_path + ": extra_ids is " + std::to_string(extra_ids) + " and " + key +
                          " names " + std::to_string(named) +
                          " sentinels (<extra_id_...>); set extra_ids to the number that the model was trained with");
  }
}

// The pieces, then the sentinels, the last one first. Returns the special tokens that no file names.
Json define_t5(const Source& source, TokenizerDefinition* definition) {
  constexpr int32_t kUnknown = 2;
  const auto& pieces = source.model.pieces;
  if (pieces.size() <= kUnknown || pieces[kUnknown].type != PieceType::kUnknown) {
    throw core::DataError(source.model_path + ": piece 2 is " +
                          (pieces.size() <= kUnknown ? "missing" : "'" + pieces[kUnknown].text + "'") +
                          ", wanted the unknown token: this is not T5's vocabulary (<pad>, </s>, <unk>, pieces)");
  }
  for (const SentencePiece& piece : pieces) add_piece(piece.text, piece.score, definition);
  const int64_t extra_ids = number_of(source, "extra_ids", 100);
  check_sentinels(source, extra_ids);
  for (int64_t i = extra_ids - 1; i >= 0; --i) add_piece(sentinel(i), 0, definition);
  check_distinct(*definition, source,
                 "where the model has the sentinels already, set extra_ids to 0 in " + source.config_path);
  definition->unigram->unk_id = kUnknown;
  definition->unigram->splits_at_whitespace = true;
  Json special = Json::array();
  for (const SentencePiece& piece : pieces) {
    if (piece.type != PieceType::kControl && piece.type != PieceType::kUserDefined) continue;
    special.push_back({{"content", piece.text}, {"special", piece.type == PieceType::kControl}});
  }
  for (int64_t i = 0; i < extra_ids; ++i) special.push_back(sentinel(i));
  return special;
}

// The mask tokens, which have ids 2 and 3. transformers 5 puts those that tokenizer_config.json names in the order
// mask_token, mask_token_sent, and otherwise <mask_1>, <mask_2>. Where that leaves not exactly as many as the weights
// have (two, or none in a model with offset 0), every id after them would be off by one; they are then as in
// transformers 4.
std::vector<std::string> pegasus_masks(const Source& source, int64_t offset) {
  std::vector<std::string> masks;
  for (const auto& [key, otherwise] : {std::pair{"mask_token", "<mask_1>"}, {"mask_token_sent", "<mask_2>"}}) {
    const std::optional<std::string> mask = token_of(source, key, otherwise);
    if (mask && std::find(masks.begin(), masks.end(), *mask) == masks.end()) masks.push_back(*mask);
  }
  const size_t wanted = offset == 0 ? 0 : 2;
  if (masks.size() == wanted) return masks;
  core::log_debug(source.config_path +
                  ": mask_token, mask_token_sent and offset would shift every id in transformers " +
                  "5 against the model's weights; the ids are those of transformers 4");
  if (offset == 0) return {};
  const std::optional<std::string> sentence = token_of(source, "mask_token_sent", "<mask_1>");
  const std::optional<std::string> word = token_of(source, "mask_token", "<mask_2>");
  if (sentence && word && *sentence != *word) return {*sentence, *word};
  throw core::DataError(source.config_path + ": mask_token and mask_token_sent must be two tokens where offset is " +
                        std::to_string(offset) + " (as <mask_2> and <mask_1>); found " + word.value_or("null") +
                        " and " + sentence.value_or("null"));
}

// <pad>, </s>, masks, <unk_2> and so on, then the pieces from the third on, whose ids are their own plus the offset.
Json define_pegasus(const Source& source, TokenizerDefinition* definition) {
  constexpr double kReservedScore = -100;
  const int64_t offset = number_of(source, "offset", 103);
  if (offset == 1 || source.model.pieces.size() < 3) {
    throw core::DataError(source.config_path + ": offset is " + std::to_string(offset) + " and " + source.model_path +
                          " has " + std::to_string(source.model.pieces.size()) +
                          " pieces; supported: an offset of 0, or from 2 on, and at least 3 pieces");
  }
  const std::string unknown = token_of(source, "unk_token", "<unk>").value_or("<unk>");
  add_piece(token_of(source, "pad_token", "<pad>").value_or("<pad>"), 0, definition);
  add_piece(token_of(source, "eos_token", "</s>").value_or("</s>"), 0, definition);
  for (const std::string& mask : pegasus_masks(source, offset)) add_piece(mask, 0, definition);
  Json special = Json::array();
  const std::optional<std::string> sentence_mask = token_of(source, "mask_token_sent", "<mask_1>");
  if (sentence_mask) special.push_back(*sentence_mask);
  for (int64_t i = 2; i < offset; ++i) {
    add_piece("<unk_" + std::to_string(i) + ">", kReservedScore, definition);
    special.push_back(definition->model.vocabulary.back().first);
  }
  for (size_t i = 2; i < source.model.pieces.size(); ++i) {
    add_piece(source.model.pieces[i].text, source.model.pieces[i].score, definition);
  }
  check_distinct(*definition, source,
                 "a model that has the tokens before its pieces already needs offset 0 in " + source.config_path);
  const std::optional<int32_t> id = find_token(*definition, unknown);
  if (!id || definition->unigram->scores[*id] != 0) {
    throw core::DataError(source.model_path + ": no piece '" + unknown +
                          "' with score 0, which is the unknown token; " + "this is not Pegasus' vocabulary, or " +
                          source.config_path + " names another unk_token");
  }
  definition->unigram->unk_id = *id;
  return special;
}

// mBART-50's languages, in the order of their ids.
constexpr std::string_view kLanguages[] = {
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT",
    "ja_XX", "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK",
    "tr_TR", "vi_VN", "zh_CN", "af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE",
    "km_KH", "mk_MK", "ml_IN", "mn_MN", "mr_IN", "pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN",
    "te_IN", "th_TH", "tl_XX", "uk_UA", "ur_PK", "xh_ZA", "gl_ES", "sl_SI"};

// <s>, <pad>, </s>, <unk> in place of the model's own first three pieces, its other pieces, the languages, <mask>.
Json define_mbart(const Source& source, TokenizerDefinition* definition) {
  constexpr size_t kOwn = 3;
  const auto& pieces = source.model.pieces;
  if (pieces.size() <= kOwn || pieces[0].type != PieceType::kUnknown) {
    throw core::DataError(source.model_path + ": its first piece is not the unknown token: this is not mBART's model " +
                          "(<unk>, <s>, </s>, pieces)");
  }
  for (const auto& [role, token] :
       {std::pair{"cls_token", "<s>"}, {"pad_token", "<pad>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}) {
    add_piece(token_of(source, role, token).value_or(token), 0, definition);
  }
  definition->unigram->unk_id = 3;
  for (size_t i = kOwn; i < pieces.size(); ++i) add_piece(pieces[i].text, pieces[i].score, definition);
  Json special = Json::array();
  for (const std::string_view language : kLanguages) {
    add_piece(std::string(language), 0, definition);
    special.push_back(std::string(language));
  }
  add_piece(token_of(source, "mask_token", "<mask>").value_or("<mask>"), 0, definition);
  check_distinct(*definition, source, "the languages are added to the model's pieces, and must not be among them");
  return special;
}

// The language that mBART's texts begin with. Summaries are in the language of their documents.
std::string language_of(const Source& source) {
  const std::string language = token_of(source, "src_lang", "en_XX").value_or("en_XX");
  if (std::find(std::begin(kLanguages), std::end(kLanguages), language) == std::end(kLanguages)) {
    throw core::DataError(source.config_path + ": src_lang is " + language +
                          ", which is none of mBART-50's languages (en_XX, de_DE, ...)");
  }
  const std::string target = token_of(source, "tgt_lang", language.c_str()).value_or(language);
  if (target == language) return language;
  throw core::DataError(source.config_path + ": src_lang is " + language + " and tgt_lang is " + target +
                        "; a summary is in the language of its document here: set both to the same");
}

Json read_config(const std::map<std::string, std::string>& files, const std::string& folder) {
  const auto file = [&](const char* name) {
    const auto found = files.find(name);
    return found == files.end() ? Json(Json::object()) : parse_object(found->second, folder + "/" + name);
  };
  Json config = file("tokenizer_config.json");
  if (config.contains("added_tokens_decoder")) return config;
  const Json map = file("special_tokens_map.json");
  for (const auto& [key, value] : map.items()) {
    // The list of this file is ignored by transformers 5 for these families.
    if (key != "additional_special_tokens") config[key] = value;
  }
  return config;
}

// Name of the class without "Fast"; empty where no file says.
std::string class_of(const Json& config, const std::string& folder, std::string* said_by) {
  std::string name = string_of(config, "tokenizer_class");
  *said_by = folder + "/tokenizer_config.json: tokenizer_class";
  const std::string path = folder + "/config.json";
  if (name.empty() && std::filesystem::exists(path)) {
    const Json model = parse_object(core::read_file(path), path);
    name = string_of(model, "tokenizer_class");
    *said_by = path + ": tokenizer_class";
    if (name.empty()) {
      name = string_of(model, "model_type");
      *said_by = path + ": model_type";
      for (const char* t5 : {"t5", "mt5"}) name = name == t5 ? "T5Tokenizer" : name;
      for (const char* pegasus : {"pegasus", "bigbird_pegasus"}) name = name == pegasus ? "PegasusTokenizer" : name;
    }
  }
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
}

// added_tokens.json of old folders: token to id.
void apply_added_tokens(const std::string& json, const std::string& path, TokenizerDefinition* definition) {
  for (const auto& [content, id] : parse_vocab_json(json, path)) {
    AddedToken token;
    token.content = content;
    token.special = std::any_of(definition->special_tokens.begin(), definition->special_tokens.end(),
                                [&c = content](const auto& role) { return role.second == c; });
    token.normalized = !token.special;
    add_token(definition, token);
    const std::optional<int32_t> known = find_token(*definition, content);
    if (known && *known == id) continue;
    throw core::DataError(path + ": '" + content + "' has id " + std::to_string(id) +
                          ", but its place in the vocabulary is " + std::to_string(known.value_or(-1)));
  }
}

/// tokenizer.json of the library `tokenizers`, where its model is a unigram one; null otherwise.
Json unigram_json(const std::map<std::string, std::string>& files) {
  const auto found = files.find("tokenizer.json");
  if (found == files.end()) return {};
  Json json = Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  const bool unigram = json.is_object() && json.contains("model") && json["model"].is_object() &&
                       string_of(json["model"], "type") == "Unigram" && json["model"].contains("vocab");
  return unigram ? std::move(json) : Json();
}

/// The two files say the same in other words; where they do not, neither is believed.
void check_same_ids(const Json& json, const std::string& path, const TokenizerDefinition& definition) {
  const auto check = [&](const std::string& token, int64_t id) {
    const std::optional<int32_t> ours = find_token(definition, token);
    if (ours && *ours == id) return;
    throw core::DataError(
        path + ": token '" + token + "' has id " + std::to_string(id) + ", and by the SentencePiece model " +
        (ours ? "id " + std::to_string(*ours) : "there is none") + "; remove the file that is not the model's");
  };
  int64_t id = 0;
  for (const Json& entry : json["model"]["vocab"]) {
    if (entry.is_array() && !entry.empty() && entry[0].is_string()) check(entry[0].get<std::string>(), id);
    ++id;
  }
  if (!json.contains("added_tokens") || !json["added_tokens"].is_array()) return;
  for (const Json& entry : json["added_tokens"]) {
    if (entry.is_object() && entry.contains("id") && entry["id"].is_number_integer()) {
      check(string_of(entry, "content"), entry["id"].get<int64_t>());
    }
  }
}

}  // namespace

std::string unigram_model_name(const std::map<std::string, std::string>& files) {
  for (const char* name : {"spiece.model", "sentencepiece.bpe.model"}) {
    if (files.count(name) != 0) return name;
  }
  return {};
}

bool has_unigram_model(const std::map<std::string, std::string>& files) {
  return !unigram_model_name(files).empty() && (files.count("tokenizer.json") == 0 || !unigram_json(files).is_null());
}

TokenizerDefinition read_unigram_definition(const std::string& folder, std::map<std::string, std::string>* files) {
  const std::string model_name = unigram_model_name(*files);
  Source source{folder, folder + "/" + model_name, folder + "/tokenizer_config.json", {}, read_config(*files, folder)};
  std::string said_by;
  const std::string name = class_of(source.config, folder, &said_by);
  const bool t5 = name == "T5Tokenizer", mbart = name == "MBart50Tokenizer";
  if (!t5 && !mbart && name != "PegasusTokenizer") {
    throw core::DataError(
        source.model_path + ": what the ids of its pieces are depends on the tokenizer's class, and " +
        (name.empty() ? "no file names one" : said_by + " is \"" + name + "\"") +
        "; supported: T5Tokenizer, PegasusTokenizer and MBart50Tokenizer as tokenizer_class in " + source.config_path);
  }
  source.model = parse_sentencepiece_file(files->at(model_name), source.model_path);
  TokenizerDefinition definition;
  definition.unigram.emplace();
  definition.unigram->charsmap = source.model.charsmap;
  const auto define = t5 ? define_t5 : mbart ? define_mbart : define_pegasus;
  Json special = define(source, &definition);

  Json config = source.config;
  std::vector<std::pair<const char*, const char*>> roles{
      {"eos_token", "</s>"}, {"unk_token", "<unk>"}, {"pad_token", "<pad>"}};
  if (!t5) roles.emplace_back("mask_token", mbart ? "<mask>" : "<mask_2>");
  if (mbart) roles.insert(roles.end(), {{"sep_token", "</s>"}, {"cls_token", "<s>"}});
  for (const auto& [role, token] : roles) {
    if (!config.contains(role)) config[role] = token;
  }
  if (mbart && config["mask_token"].is_string()) {
    config["mask_token"] = {{"content", config["mask_token"]}, {"lstrip", true}, {"normalized", false}};
  }
  // A list in tokenizer_config.json replaces the families' own special tokens, but mBART's languages.
  if (mbart) {
    // All of its lists name languages again.
  } else if (config.contains("extra_special_tokens") && !config["extra_special_tokens"].is_null()) {
    special = config["extra_special_tokens"];
  } else if (config.contains("additional_special_tokens") && !config["additional_special_tokens"].is_null()) {
    special = config["additional_special_tokens"];
  }
  config.erase("additional_special_tokens");
  config["extra_special_tokens"] = special;
  // Both classes end a text with </s>, whatever these say.
  config.erase("add_bos_token");
  config.erase("add_eos_token");

  const std::optional<std::string> eos = token_of(source, "eos_token", "</s>");
  const std::optional<int32_t> eos_id = eos ? find_token(definition, *eos) : std::nullopt;
  if (!eos_id) {
    throw core::DataError(source.config_path + ": eos_token is " + eos.value_or("null") +
                          ", which is not in the vocabulary; " + name + " ends every text with it");
  }
  definition.post_processor.suffix.emplace_back(*eos, *eos_id);
  if (mbart) {
    const std::string language = language_of(source);
    definition.post_processor.prefix.emplace_back(language, *find_token(definition, language));
  }
  apply_tokenizer_config(core::to_line(config), source.config_path, &definition);
  if (files->count("added_tokens.json") != 0 && !source.config.contains("added_tokens_decoder")) {
    apply_added_tokens(files->at("added_tokens.json"), folder + "/added_tokens.json", &definition);
  }
  if (const Json json = unigram_json(*files); !json.is_null()) {
    check_same_ids(json, folder + "/tokenizer.json", definition);
  }
  if (files->count("tokenizer_config.json") == 0) {
    (*files)["tokenizer_config.json"] = core::to_pretty_text(Json{{"tokenizer_class", name}});
  }
  return definition;
}

}  // namespace txtsum::text
