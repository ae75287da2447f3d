#include "txtsum/config/dump.h"

#include "config/field_list.h"
#include "config/field_text.h"

namespace txtsum::config {

std::string to_yaml(const ExperimentConfig& config) {
  ExperimentConfig copy = config;
  std::string out;
  for (const ListedSection& section : list_sections(copy)) {
    out += (out.empty() ? "" : "\n") + section.key + ":\n";
    for (const ListedField& listed : section.fields) {
      out += "  " + std::string(listed.field.key) + ": " + format_value(listed.field) + "\n";
    }
  }
  return out;
}

std::vector<KeyValue> list_values(const ExperimentConfig& config) {
  ExperimentConfig copy = config;
  std::vector<KeyValue> out;
  for (const ListedField& listed : list_fields(copy)) out.push_back({listed.key, format_value(listed.field)});
  return out;
}

std::vector<Difference> diff(const ExperimentConfig& left, const ExperimentConfig& right, DiffScope scope) {
  ExperimentConfig left_copy = left;
  ExperimentConfig right_copy = right;
  const std::vector<ListedField> left_fields = list_fields(left_copy);
  const std::vector<ListedField> right_fields = list_fields(right_copy);
  std::vector<Difference> out;
  for (size_t i = 0; i < left_fields.size(); ++i) {
    if (scope == DiffScope::kTraining && !left_fields[i].field.note.changes_training) continue;
    std::string left_value = format_value(left_fields[i].field);
    std::string right_value = format_value(right_fields[i].field);
    if (left_value != right_value) {
      out.push_back({left_fields[i].key, std::move(left_value), std::move(right_value)});
    }
  }
  return out;
}

}  // namespace txtsum::config
