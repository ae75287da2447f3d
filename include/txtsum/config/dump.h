#pragma once

#include <string>
#include <vector>

namespace txtsum::config {

struct ExperimentConfig;

/// The whole config as YAML, every key in the order of the reference; loading it gives the same config.
std::string to_yaml(const ExperimentConfig& config);

/// One key with its value as to_yaml writes it.
struct KeyValue {
  std::string key;  ///< `train.batch_size`
  std::string value;
};

/// Every key with its value, in the order of the reference.
std::vector<KeyValue> list_values(const ExperimentConfig& config);

/// A key whose values differ.
struct Difference {
  std::string key;
  std::string left;
  std::string right;
};

/// Which keys a comparison looks at.
enum class DiffScope {
  kAll,
  kTraining  ///< Only keys that forbid to continue the other config's training; not folders, loggers, periods of
             ///< saving.
};

/// The keys in which `left` and `right` differ, in the order of the reference.
std::vector<Difference> diff(const ExperimentConfig& left, const ExperimentConfig& right, DiffScope scope);

}  // namespace txtsum::config
