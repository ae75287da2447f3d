#pragma once

#include <string>
#include <vector>

namespace txtsum::config {

/// A YAML value without its library.
struct Value {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  std::string text;          ///< kScalar: as written, unquoted.
  std::vector<Value> items;  ///< kList.
};

/// Where a setting was written.
struct Origin {
  std::string file;      ///< Empty for arguments.
  int line = 0;          ///< From 1; 0 for a whole file.
  int column = 0;        ///< From 1.
  int argument = 0;      ///< From 1; 0 for files.
  std::string spelling;  ///< The argument as given.
};

/// One `key.sub: value` with its origin. A higher layer wins.
struct Setting {
  std::string key;
  Value value;
  Origin origin;
  int layer = 0;
};

/// A complaint that knows its place.
struct Problem {
  Origin origin;
  std::string key;  ///< May be empty.
  std::string what;
};

/// What a source of settings gave.
struct Settings {
  std::vector<Setting> settings;  ///< In the order read; lower layers first.
  std::vector<Problem> problems;
  int layers = 0;           ///< Number of layers so far.
  bool unreadable = false;  ///< A file could not be read whole: what is missing may be in it.
};

/// Appends the settings of the YAML file at `path`, after those of its includes.
void read_yaml_file(const std::string& path, Settings& out);

/// Appends the settings of `key=value` arguments as one layer.
void read_arguments(const std::vector<std::string>& arguments, Settings& out);

/// The value of an argument: `[...]` is a YAML list, `null` or `~` is null, a text in quotes is taken out of them, all
/// else is the text itself. `error` is set when the list is not valid.
Value parse_argument_value(const std::string& text, std::string& error);

/// One line for `problem`.
std::string to_text(const Problem& problem);

}  // namespace txtsum::config
