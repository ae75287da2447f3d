#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "text/tokenizer_json.h"
#include "txtsum/core/error.h"
#include "txtsum/core/parse_json.h"

namespace txtsum::text {
namespace {

// Sorted keys: the insertion-ordered kind of object would take time quadratic in the size of the vocabulary.
using Json = nlohmann::json;

std::string shortened(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// One object of the file, which knows where it stands.
class Fields {
 public:
  Fields(const Json& object, std::string path, std::string name)
      : object_(object), path_(std::move(path)), name_(std::move(name)) {
    if (!object.is_object()) {
      throw core::DataError(path_ + ": " + name_ + " is " + shortened(object) + "; supported: an object");
    }
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& supported) const {
    const auto found = object_.find(key);
    const std::string value = found == object_.end() ? "missing" : shortened(*found);
    throw core::DataError(path_ + ": " + field(key) + " is " + value + "; supported: " + supported);
  }

  void allow_only(std::initializer_list<const char*> keys) const {
    for (const auto& [key, value] : object_.items()) {
      const auto same = [&k = key](const char* allowed) { return k == allowed; };
      if (std::none_of(keys.begin(), keys.end(), same)) refuse(key, "no field of this name");
    }
  }

  const Json* find(const std::string& key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  const Json& require(const std::string& key, const std::string& supported) const {
    const Json* value = find(key);
    if (value == nullptr) refuse(key, supported);
    return *value;
  }

  bool boolean(const std::string& key, bool otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) refuse(key, "true or false");
    return value->get<bool>();
  }

  std::string text(const std::string& key) const {
    const Json& value = require(key, "a string");
    if (!value.is_string()) refuse(key, "a string");
    return value.get<std::string>();
  }

  int32_t id(const std::string& key) const {
    const Json& value = require(key, "an id from 0 on");
    if (!value.is_number_integer() || value < 0 || value > kLargestId) {
      refuse(key, "an id from 0 to " + std::to_string(kLargestId));
    }
    return value.get<int32_t>();
  }

  Fields object(const std::string& key) const { return {require(key, "an object"), path_, field(key)}; }

  // The objects of an array.
  std::vector<Fields> objects(const std::string& key) const {
    const Json& value = require(key, "an array of objects");
    if (!value.is_array()) refuse(key, "an array of objects");
    std::vector<Fields> result;
    for (size_t i = 0; i < value.size(); ++i) {
      result.emplace_back(value[i], path_, field(key) + "[" + std::to_string(i) + "]");
    }
    return result;
  }

  std::string field(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }
  const std::string& path() const { return path_; }
  const Json& json() const { return object_; }

 private:
  const Json& object_;
  std::string path_;
  std::string name_;
};

std::vector<std::pair<std::string, int32_t>> read_vocabulary(const Fields& vocabulary) {
  std::vector<std::pair<std::string, int32_t>> result;
  for (const auto& [token, id] : vocabulary.json().items()) result.emplace_back(token, vocabulary.id(token));
  const auto by_id = [](const auto& a, const auto& b) { return a.second < b.second; };
  std::sort(result.begin(), result.end(), by_id);
  for (size_t i = 1; i < result.size(); ++i) {
    if (result[i].second == result[i - 1].second) {
      throw core::DataError(vocabulary.path() + ": the tokens '" + result[i - 1].first + "' and '" + result[i].first +
                            "' have the same id " + std::to_string(result[i].second));
    }
  }
  return result;
}

// A merge is "left right" (before tokenizers 0.20) or ["left", "right"].
std::pair<std::string, std::string> read_merge(const Fields& model, size_t index, const Json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const std::string text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  throw core::DataError(model.path() + ": " + model.field("merges") + "[" + std::to_string(index) + "] is " +
                        shortened(merge) + "; supported: \"left right\" or [\"left\", \"right\"]");
}

BpeDefinition read_model(const Fields& model) {
  if (model.find("type") != nullptr && model.text("type") != "BPE") model.refuse("type", "BPE");
  model.allow_only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                    "byte_fallback", "ignore_merges", "vocab", "merges"});
  const Json* dropout = model.find("dropout");
  if (dropout != nullptr && *dropout != 0) model.refuse("dropout", "null (random merges would change ids)");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.find(key) != nullptr && !model.text(key).empty()) model.refuse(key, "null or \"\"");
  }
  if (model.boolean("byte_fallback", false)) model.refuse("byte_fallback", "false");
  BpeDefinition result;
  if (model.find("unk_token") != nullptr) result.unk_token = model.text("unk_token");
  result.fuse_unk = model.boolean("fuse_unk", false);
  result.ignore_merges = model.boolean("ignore_merges", false);
  result.vocabulary = read_vocabulary(model.object("vocab"));
  const Json& merges = model.require("merges", "an array");
  if (!merges.is_array()) model.refuse("merges", "an array");
  for (size_t i = 0; i < merges.size(); ++i) result.merges.push_back(read_merge(model, i, merges[i]));
  return result;
}

PreTokenizer read_pre_tokenizer(const Fields& file) {
  const Fields fields = file.object("pre_tokenizer");
  if (fields.text("type") != "ByteLevel") fields.refuse("type", "ByteLevel");
  fields.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  return {fields.boolean("add_prefix_space", true), fields.boolean("use_regex", true)};
}

// ["<s>", 0] as RobertaProcessing writes a token.
std::pair<std::string, int32_t> read_token_pair(const Fields& fields, const std::string& key) {
  const Json& pair = fields.require(key, "[token, id]");
  if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number_unsigned() ||
      pair[1].get<uint64_t>() > kLargestId) {
    fields.refuse(key, "[token, id]");
  }
  return {pair[0].get<std::string>(), pair[1].get<int32_t>()};
}

void append_template_token(const Fields& processor, const std::string& name,
                           std::vector<std::pair<std::string, int32_t>>* tokens) {
  const Fields special = processor.object("special_tokens").object(name);
  const Json& ids = special.require("ids", "an array of ids");
  const Json& texts = special.require("tokens", "an array of strings");
  if (!ids.is_array() || !texts.is_array() || ids.size() != texts.size()) {
    special.refuse("ids", "an array of ids, as long as tokens");
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!ids[i].is_number_unsigned() || ids[i].get<uint64_t>() > kLargestId) special.refuse("ids", "an array of ids");
    if (!texts[i].is_string()) special.refuse("tokens", "an array of strings");
    tokens->emplace_back(texts[i].get<std::string>(), ids[i].get<int32_t>());
  }
}

PostProcessor read_template(const Fields& fields) {
  fields.allow_only({"type", "single", "pair", "special_tokens"});
  PostProcessor result;
  int sequences = 0;
  for (const Fields& part : fields.objects("single")) {
    part.allow_only({"SpecialToken", "Sequence"});
    if (part.find("Sequence") != nullptr) {
      if (part.object("Sequence").text("id") != "A") part.refuse("Sequence", "A once");
      ++sequences;
    } else {
      append_template_token(fields, part.object("SpecialToken").text("id"),
                            sequences == 0 ? &result.prefix : &result.suffix);
    }
  }
  if (sequences != 1) fields.refuse("single", "special tokens around the sequence A");
  return result;
}

PostProcessor read_post_processor(const Fields& fields) {
  const std::string type = fields.text("type");
  PostProcessor result;
  if (type == "RobertaProcessing") {
    fields.allow_only({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    result.prefix.push_back(read_token_pair(fields, "cls"));
    result.suffix.push_back(read_token_pair(fields, "sep"));
  } else if (type == "TemplateProcessing") {
    result = read_template(fields);
  } else if (type == "Sequence") {
    fields.allow_only({"type", "processors"});
    for (const Fields& part : fields.objects("processors")) {
      PostProcessor outer = read_post_processor(part);
      result.prefix.insert(result.prefix.begin(), outer.prefix.begin(), outer.prefix.end());
      result.suffix.insert(result.suffix.end(), outer.suffix.begin(), outer.suffix.end());
    }
  } else if (type != "ByteLevel") {  // ByteLevel moves offsets only.
    fields.refuse("type", "RobertaProcessing, TemplateProcessing, ByteLevel, or a Sequence of these");
  }
  return result;
}

void read_added_tokens(const Fields& file, TokenizerDefinition* definition) {
  if (file.find("added_tokens") == nullptr) return;
  for (const Fields& fields : file.objects("added_tokens")) {
    fields.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedToken token;
    token.content = fields.text("content");
    token.single_word = fields.boolean("single_word", false);
    token.lstrip = fields.boolean("lstrip", false);
    token.rstrip = fields.boolean("rstrip", false);
    token.normalized = fields.boolean("normalized", false);
    token.special = fields.boolean("special", false);
    const int32_t id = fields.id("id");
    if (token.content.empty()) fields.refuse("content", "a string that is not empty");
    if (!add_token(definition, token)) fields.refuse("content", "each token once");
    if (definition->added_tokens.back().id != id) {
      fields.refuse("id", std::to_string(definition->added_tokens.back().id) +
                              " (the model's id of this token, or the next one after all others)");
    }
  }
}

void check_post_processor(const Fields& file, const TokenizerDefinition& definition) {
  for (const auto* tokens : {&definition.post_processor.prefix, &definition.post_processor.suffix}) {
    for (const auto& [token, id] : *tokens) {
      const std::optional<int32_t> known = find_token(definition, token);
      if (known && *known == id) continue;
      file.refuse("post_processor", "tokens with the ids of the vocabulary; '" + token + "' " +
                                        (known ? "has id " + std::to_string(*known) : "is not in it") + ", not " +
                                        std::to_string(id));
    }
  }
}

}  // namespace

TokenizerDefinition parse_tokenizer_json(std::string_view json, const std::string& path) {
  const Json document = core::parse_json<Json>(json, path);
  const Fields file(document, path, "");
  file.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                   "decoder", "model"});
  if (file.find("normalizer") != nullptr) file.refuse("normalizer", "null");
  TokenizerDefinition definition;
  definition.model = read_model(file.object("model"));
  definition.pre_tokenizer = read_pre_tokenizer(file);
  read_added_tokens(file, &definition);
  if (file.find("post_processor") != nullptr) {
    definition.post_processor = read_post_processor(file.object("post_processor"));
    check_post_processor(file, definition);
  }
  const Fields decoder = file.object("decoder");
  if (decoder.text("type") != "ByteLevel") decoder.refuse("type", "ByteLevel");
  return definition;
}

std::vector<std::pair<std::string, int32_t>> parse_vocab_json(std::string_view json, const std::string& path) {
  const Json document = core::parse_json<Json>(json, path);
  return read_vocabulary(Fields(document, path, "the vocabulary"));
}

std::vector<std::pair<std::string, std::string>> parse_merges_text(std::string_view text, const std::string& path) {
  std::vector<std::pair<std::string, std::string>> merges;
  size_t line_number = 0;
  for (size_t start = 0; start < text.size();) {
    size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = text.substr(start, end - start);
    start = end + 1;
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.starts_with("#version") || (line.empty() && start >= text.size())) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      throw core::DataError(path + ":" + std::to_string(line_number) + ": expected two tokens and a space, found '" +
                            std::string(line.substr(0, 60)) + "'");
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

}  // namespace txtsum::text
