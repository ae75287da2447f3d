#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace txtsum::config {

/// How their value becomes ours.
enum class ForeignValue {
  kSame,
  kLessOne,  ///< Theirs counts the start token.
  kWarmup    ///< Theirs is a share below 1 and updates from 1 on.
};

/// One name of transformers or DeepSpeed and what to write instead.
struct ForeignName {
  std::string_view name;
  std::string_view ours;  ///< Our key; empty where there is none.
  std::string_view note;  ///< What differs, or what to do where there is no key.
  /// Values with an answer of their own: theirs, and the whole line of ours.
  std::vector<std::pair<std::string_view, std::string_view>> values = {};
  ForeignValue conversion = ForeignValue::kSame;
};

/// Names that come from one place.
struct ForeignGroup {
  std::string_view title;
  std::vector<ForeignName> names;
};

const std::vector<ForeignGroup>& foreign_table();

}  // namespace txtsum::config
