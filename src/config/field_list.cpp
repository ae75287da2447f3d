#include "config/field_list.h"

namespace txtsum::config {
namespace {

class Lister : public FieldVisitor {
 public:
  void section(std::string_view key, std::string_view help) override {
    sections.push_back({std::string(key), help, {}});
  }
  void visit(const Field& field) override {
    ListedSection& current = sections.back();
    current.fields.push_back({current.key, current.key + "." + std::string(field.key), field});
  }
  std::vector<ListedSection> sections;
};

}  // namespace

std::vector<ListedSection> list_sections(ExperimentConfig& config) {
  Lister lister;
  config.describe(lister);
  return std::move(lister.sections);
}

std::vector<ListedField> list_fields(ExperimentConfig& config) {
  std::vector<ListedField> out;
  for (ListedSection& section : list_sections(config)) {
    for (ListedField& field : section.fields) out.push_back(std::move(field));
  }
  return out;
}

}  // namespace txtsum::config
