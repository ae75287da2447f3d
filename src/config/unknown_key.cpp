#include "config/unknown_key.h"

#include <algorithm>

#include "txtsum/config/foreign_names.h"
#include "txtsum/config/suggest.h"

namespace txtsum::config {
namespace {

std::string leaf_of(const std::string& key) { return key.substr(key.rfind('.') + 1); }

std::string did_you_mean(const std::string& key) { return "unknown key (did you mean " + key + "?)"; }

/// The only field of another section with the same last word.
std::string same_leaf_elsewhere(const std::string& leaf, const std::vector<ListedField>& fields) {
  std::string only;
  for (const ListedField& listed : fields) {
    if (leaf_of(listed.key) != leaf) continue;
    if (!only.empty()) return "";
    only = listed.key;
  }
  return only;
}

std::string suggest_in_section(const std::string& section, const std::string& key,
                               const std::vector<ListedField>& fields) {
  std::vector<std::string> words;
  for (const ListedField& listed : fields) {
    if (listed.section == section) words.push_back(listed.key.substr(section.size() + 1));
  }
  return closest_word(key.substr(section.size() + 1), words).value_or("");
}

std::string suggest_anywhere(const std::string& key, const std::vector<ListedField>& fields) {
  std::vector<std::string> keys;
  std::vector<std::string> leaves;
  for (const ListedField& listed : fields) {
    keys.push_back(listed.key);
    leaves.push_back(leaf_of(listed.key));
  }
  if (const auto close = closest_word(key, keys)) return *close;
  const auto close = closest_word(leaf_of(key), leaves);
  if (!close) return "";
  return keys[static_cast<size_t>(std::find(leaves.begin(), leaves.end(), *close) - leaves.begin())];
}

std::string explain_section(const Setting& setting) {
  if (setting.value.kind == Value::Kind::kNull || setting.value.kind == Value::Kind::kMap) return "";
  if (const auto answer = foreign_answer(setting.key, setting.value.text)) return *answer;
  return "is a section: its keys go below it, indented";
}

}  // namespace

std::string explain_unknown_key(const Setting& setting, const std::vector<ListedField>& fields) {
  const std::string& key = setting.key;
  const std::string section = key.substr(0, key.find('.'));
  const bool section_known =
      std::any_of(fields.begin(), fields.end(), [&](const ListedField& listed) { return listed.section == section; });
  if (section_known && key == section) return explain_section(setting);
  for (const ListedField& listed : fields) {
    if (key.starts_with(listed.key + ".")) return listed.key + " has a value and no keys below it";
  }
  if (const auto answer = foreign_answer(key, setting.value.text)) return *answer;
  if (const std::string same = same_leaf_elsewhere(leaf_of(key), fields); !same.empty()) return did_you_mean(same);
  if (const auto answer = foreign_answer(leaf_of(key), setting.value.text)) return *answer;
  if (section_known) {
    if (const std::string close = suggest_in_section(section, key, fields); !close.empty()) {
      return did_you_mean(setting.origin.argument > 0 ? section + "." + close : close);
    }
  }
  const std::string close = suggest_anywhere(key, fields);
  return close.empty() ? "unknown key (`txtsum config docs` lists all)" : did_you_mean(close);
}

}  // namespace txtsum::config
