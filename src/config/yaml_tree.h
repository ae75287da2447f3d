#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"

namespace txtsum::config {

/// A mapping's entry, or a whole document: a value that may be a mapping, with the place of its key.
struct YamlNode {
  std::string key;
  int line = 0;
  int column = 0;
  Value value;                     ///< Set unless `value.kind` is kMap.
  bool merged = false;             ///< It came by a `<<` merge.
  std::vector<YamlNode> children;  ///< kMap: the entries, each key once.
  std::vector<YamlNode> repeated;  ///< kMap: entries whose key was there already.
};

/// What is wrong with a YAML text, and where (from 1).
struct YamlError {
  std::string what;
  int line = 0;
  int column = 0;
};

/// Parses one YAML document. An empty text is a null document. Throws YamlError.
YamlNode parse_yaml(std::string_view text);

}  // namespace txtsum::config
