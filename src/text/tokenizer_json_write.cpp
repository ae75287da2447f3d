#include "text/tokenizer_json.h"
#include "txtsum/core/json.h"

namespace txtsum::text {
namespace {

using core::Json;

std::string quoted(const std::string& text) { return core::to_line(Json(text)); }

Json added_token_json(const AddedToken& token) {
  return {{"id", token.id},          {"content", token.content}, {"single_word", token.single_word},
          {"lstrip", token.lstrip},  {"rstrip", token.rstrip},   {"normalized", token.normalized},
          {"special", token.special}};
}

Json template_json(const PostProcessor& processor, const char* sequence, int type_id) {
  Json parts = Json::array();
  const auto add = [&](const auto& tokens) {
    for (const auto& [token, id] : tokens) {
      parts.push_back({{"SpecialToken", {{"id", token}, {"type_id", type_id}}}});
    }
  };
  add(processor.prefix);
  parts.push_back({{"Sequence", {{"id", sequence}, {"type_id", type_id}}}});
  add(processor.suffix);
  return parts;
}

Json post_processor_json(const TokenizerDefinition& definition) {
  const PostProcessor& processor = definition.post_processor;
  if (processor.prefix.empty() && processor.suffix.empty()) {
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  }
  if (processor.prefix.size() == 1 && processor.suffix.size() == 1) {
    const auto& [sep, sep_id] = processor.suffix[0];
    const auto& [cls, cls_id] = processor.prefix[0];
    return {{"type", "RobertaProcessing"},
            {"sep", Json::array({sep, sep_id})},
            {"cls", Json::array({cls, cls_id})},
            {"trim_offsets", true},
            {"add_prefix_space", definition.pre_tokenizer.add_prefix_space}};
  }
  Json special = Json::object();
  for (const auto* tokens : {&processor.prefix, &processor.suffix}) {
    for (const auto& [token, id] : *tokens) {
      special[token] = {{"id", token}, {"ids", Json::array({id})}, {"tokens", Json::array({token})}};
    }
  }
  Json pair = template_json(processor, "A", 0);
  for (const Json& part : template_json(processor, "B", 0)) pair.push_back(part);
  return {{"type", "TemplateProcessing"},
          {"single", template_json(processor, "A", 0)},
          {"pair", pair},
          {"special_tokens", special}};
}

std::string vocabulary_text(const BpeDefinition& model, const char* separator) {
  std::string text = "{";
  for (size_t i = 0; i < model.vocabulary.size(); ++i) {
    const auto& [token, id] = model.vocabulary[i];
    text += i == 0 ? "" : ",";
    text.append(separator).append(quoted(token)).append(":").append(std::to_string(id));
  }
  return text.append(separator).append("}");
}

std::string model_text(const BpeDefinition& model) {
  std::string text = "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":";
  text += model.unk_token ? quoted(*model.unk_token) : "null";
  text += ",\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\",\"fuse_unk\":";
  text += model.fuse_unk ? "true" : "false";
  text += ",\"byte_fallback\":false,\"ignore_merges\":";
  text += model.ignore_merges ? "true" : "false";
  text += ",\n\"vocab\":" + vocabulary_text(model, "\n") + ",\n\"merges\":[";
  for (size_t i = 0; i < model.merges.size(); ++i) {
    // Every release of `tokenizers` reads this form; the pair of strings is read from 0.20 on. A token with a space
    // needs the pair.
    const auto& [left, right] = model.merges[i];
    const bool has_space = left.find(' ') != std::string::npos || right.find(' ') != std::string::npos;
    text += i == 0 ? "\n" : ",\n";
    if (has_space) {
      text.append("[").append(quoted(left)).append(",").append(quoted(right)).append("]");
    } else {
      text += quoted(left + " " + right);
    }
  }
  return text + "\n]}";
}

}  // namespace

std::string write_tokenizer_json(const TokenizerDefinition& definition) {
  Json added = Json::array();
  for (const AddedToken& token : definition.added_tokens) added.push_back(added_token_json(token));
  const Json pre_tokenizer = {{"type", "ByteLevel"},
                              {"add_prefix_space", definition.pre_tokenizer.add_prefix_space},
                              {"trim_offsets", true},
                              {"use_regex", definition.pre_tokenizer.use_regex}};
  const Json decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  return "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n\"added_tokens\":" + core::to_line(added) +
         ",\n\"normalizer\":null,\n\"pre_tokenizer\":" + core::to_line(pre_tokenizer) +
         ",\n\"post_processor\":" + core::to_line(post_processor_json(definition)) +
         ",\n\"decoder\":" + core::to_line(decoder) + ",\n\"model\":" + model_text(definition.model) + "}\n";
}

std::string write_vocab_json(const TokenizerDefinition& definition) {
  return vocabulary_text(definition.model, "") + "\n";
}

std::string write_merges_text(const TokenizerDefinition& definition) {
  std::string text = "#version: 0.2\n";
  for (const auto& [left, right] : definition.model.merges) text += left + " " + right + "\n";
  return text;
}

std::string write_tokenizer_config(const TokenizerDefinition& definition) {
  Json config = {{"tokenizer_class", "BartTokenizer"}};
  for (const auto& [role, token] : definition.special_tokens) config[role] = token;
  config["add_prefix_space"] = definition.pre_tokenizer.add_prefix_space;
  config["clean_up_tokenization_spaces"] = definition.clean_up_spaces;
  if (definition.clean_up_spaces) config[kForceCleanUpKey] = true;
  if (definition.truncate_left) config["truncation_side"] = "left";
  config["model_max_length"] = definition.model_max_length;
  return core::to_pretty_text(config);
}

std::string write_special_tokens_map(const TokenizerDefinition& definition) {
  Json map = Json::object();
  for (const auto& [role, token] : definition.special_tokens) {
    map[role] = token;
    for (const AddedToken& added : definition.added_tokens) {
      if (added.content != token || !(added.lstrip || added.rstrip || added.single_word)) continue;
      map[role] = added_token_json(added);
      map[role].erase("id");
      map[role].erase("special");
    }
  }
  return core::to_pretty_text(map);
}

}  // namespace txtsum::text
