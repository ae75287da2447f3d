#pragma once

#include <limits>
#include <string>

#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::model {

/// Reads typed values out of a model's config.json and says file, key, wanted and found where one is wrong.
class ConfigReader {
 public:
  ConfigReader(const core::Json& config, std::string path) : config_(config), path_(std::move(path)) {}

  bool has(const std::string& key) const { return config_.contains(key) && !config_.at(key).is_null(); }

  /// More than any model has. A product of two sizes, over all layers, is a number of bytes that 63 bits hold.
  static constexpr int64_t kLargestSize = 1 << 22, kMostLayers = 1 << 10;

  /// A positive integer that must be there.
  int64_t size(const std::string& key, int64_t largest = kLargestSize) const {
    const int64_t value = integer(key);
    if (value <= 0 || value > largest) fail(key, "an integer from 1 to " + std::to_string(largest));
    return value;
  }
  int64_t layers(const std::string& key) const { return size(key, kMostLayers); }
  int64_t integer(const std::string& key) const {
    if (!has(key)) throw core::DataError(path_ + ": key '" + key + "' is missing");
    const core::Json& found = config_.at(key);
    if (!found.is_number_integer() || (found.is_number_unsigned() && found.get<uint64_t>() > kMaxInteger)) {
      fail(key, "an integer");
    }
    return config_.at(key).get<int64_t>();
  }
  int64_t integer(const std::string& key, int64_t fallback) const { return has(key) ? integer(key) : fallback; }
  double number(const std::string& key, double fallback) const {
    if (!has(key)) return fallback;
    if (!config_.at(key).is_number()) fail(key, "a number");
    return config_.at(key).get<double>();
  }
  /// A number in [0, 1).
  double probability(const std::string& key, double fallback) const {
    const double value = number(key, fallback);
    if (!(value >= 0.0 && value < 1.0)) fail(key, "a number in [0, 1)");
    return value;
  }
  bool flag(const std::string& key, bool fallback) const {
    if (!has(key)) return fallback;
    if (!config_.at(key).is_boolean()) fail(key, "true or false");
    return config_.at(key).get<bool>();
  }
  std::string text(const std::string& key, const std::string& fallback) const {
    if (!has(key)) return fallback;
    if (!config_.at(key).is_string()) fail(key, "a string");
    return config_.at(key).get<std::string>();
  }
  const core::Json& value(const std::string& key) const { return config_.at(key); }
  [[noreturn]] void fail(const std::string& key, const std::string& wanted) const {
    throw core::DataError(path_ + ": key '" + key + "': wanted " + wanted + ", found " +
                          core::to_line(config_.at(key)));
  }
  const std::string& path() const { return path_; }

 private:
  static constexpr uint64_t kMaxInteger = std::numeric_limits<int64_t>::max();

  const core::Json& config_;
  std::string path_;
};

}  // namespace txtsum::model
