#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "txtsum/config/experiment_config.h"

namespace txtsum::config {

/// A field with its place in the whole config.
struct ListedField {
  std::string section;
  std::string key;  ///< `train.batch_size`
  Field field;
};

/// A section with its line of help and its fields.
struct ListedSection {
  std::string key;
  std::string_view help;
  std::vector<ListedField> fields;
};

/// Every section and field of `config`, which must outlive the list.
std::vector<ListedSection> list_sections(ExperimentConfig& config);

/// The same without sections.
std::vector<ListedField> list_fields(ExperimentConfig& config);

}  // namespace txtsum::config
