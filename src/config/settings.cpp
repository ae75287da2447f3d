#include "config/settings.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <utility>

#include "config/yaml_tree.h"
#include "txtsum/config/foreign_names.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::config {
namespace {

/// Reads one file and its includes into `out`.
class FileReader {
 public:
  explicit FileReader(Settings& out) : out_(out) {}

  void read(const std::string& path, const Origin& asked_at) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      const bool top = open_.empty();
      out_.problems.push_back({asked_at, top ? "" : "include", top ? "no such file" : "no such file: " + path});
      out_.unreadable = true;
      return;
    }
    const std::string identity = std::filesystem::weakly_canonical(path, error).string();
    if (std::find(open_.begin(), open_.end(), identity) != open_.end()) {
      out_.problems.push_back({asked_at, "include", path + " includes itself"});
      out_.unreadable = true;
      return;
    }
    open_.push_back(identity);
    parse(path);
    open_.pop_back();
  }

 private:
  void parse(const std::string& path) {
    YamlNode root;
    try {
      root = parse_yaml(core::read_file(path));
    } catch (const YamlError& error) {
      out_.problems.push_back({{path, error.line, error.column, 0, ""}, "", error.what});
      out_.unreadable = true;
      return;
    }
    if (root.value.kind == Value::Kind::kNull) return;
    if (root.value.kind != Value::Kind::kMap) {
      out_.problems.push_back({{path, root.line, root.column, 0, ""}, "", "a config is `section:` with keys below it"});
      out_.unreadable = true;
      return;
    }
    for (const YamlNode& entry : root.children) {
      if (entry.key == "include") read_includes(path, entry);
    }
    const int layer = out_.layers++;
    complain_of_repeated(path, "", root);
    for (const YamlNode& entry : root.children) {
      if (entry.key != "include") flatten(path, "", entry, layer);
    }
  }

  void read_includes(const std::string& path, const YamlNode& entry) {
    const Origin origin{path, entry.line, entry.column, 0, ""};
    std::vector<Value> names = entry.value.items;
    if (entry.value.kind == Value::Kind::kScalar) names.push_back(entry.value);
    for (const Value& name : names) {
      if (name.kind != Value::Kind::kScalar || name.text.empty()) {
        out_.problems.push_back({origin, "include", "wanted a file or a list of files"});
        continue;
      }
      read((std::filesystem::path(path).parent_path() / name.text).lexically_normal().string(), origin);
    }
    if (names.empty()) out_.problems.push_back({origin, "include", "wanted a file or a list of files"});
  }

  void complain_of_repeated(const std::string& path, const std::string& prefix, const YamlNode& map) {
    for (const YamlNode& entry : map.repeated) {
      const auto first = std::find_if(map.children.begin(), map.children.end(),
                                      [&](const YamlNode& other) { return other.key == entry.key; });
      out_.problems.push_back({{path, entry.line, entry.column, 0, ""},
                               prefix + entry.key,
                               "set twice (first in line " + std::to_string(first->line) + ")"});
    }
  }

  void flatten(const std::string& path, const std::string& prefix, const YamlNode& node, int layer) {
    const std::string key = prefix + node.key;
    const bool is_map = node.value.kind == Value::Kind::kMap;
    if (is_map && !node.children.empty()) {
      complain_of_repeated(path, key + ".", node);
      for (const YamlNode& child : node.children) flatten(path, key + ".", child, layer);
      return;
    }
    out_.settings.push_back({key, node.value, {path, node.line, node.column, 0, ""}, layer});
  }

  Settings& out_;
  std::vector<std::string> open_;
};

bool is_key(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
}

/// `--name value` and `--name=value`: what to write instead.
std::string flag_answer(const std::string& name, const std::string& value) {
  if (const auto answer = foreign_answer(name, value)) return *answer;
  const std::string key = name.substr(name.find_first_not_of('-'));
  if (key.find('.') != std::string::npos) return "settings have no dashes; write " + key + "=" + value;
  return "unknown option; settings are written section.key=value";
}

/// Whether the argument after a flag is the flag's value rather than another flag or setting.
bool is_flag_value(const std::string& argument) {
  return !argument.starts_with("--") && argument.find('=') == std::string::npos;
}

void add_argument(const std::string& argument, size_t equals, const Origin& origin, int layer, Settings& out) {
  std::string error;
  Value value = parse_argument_value(argument.substr(equals + 1), error);
  if (!error.empty()) {
    out.problems.push_back({origin, "", error});
    return;
  }
  const std::string key = argument.substr(0, equals);
  const bool twice = std::any_of(out.settings.begin(), out.settings.end(),
                                 [&](const Setting& other) { return other.layer == layer && other.key == key; });
  if (twice) {
    out.problems.push_back({origin, "", "set twice"});
  } else {
    out.settings.push_back({key, std::move(value), origin, layer});
  }
}

}  // namespace

Value parse_argument_value(const std::string& text, std::string& error) {
  const bool quoted = text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
  if (quoted || text.starts_with('[')) {
    try {
      return parse_yaml(text).value;
    } catch (const YamlError& yaml_error) {
      error = yaml_error.what;
      return {};
    }
  }
  if (text == "null" || text == "~") return {};
  return {Value::Kind::kScalar, text, {}};
}

void read_yaml_file(const std::string& path, Settings& out) { FileReader(out).read(path, {path, 0, 0, 0, ""}); }

void read_arguments(const std::vector<std::string>& arguments, Settings& out) {
  const int layer = out.layers++;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.find('=');
    Origin origin{"", 0, 0, static_cast<int>(i) + 1, argument};
    if (argument.starts_with('-')) {
      std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
      if (equals == std::string::npos && i + 1 < arguments.size() && is_flag_value(arguments[i + 1])) {
        value = arguments[++i];
        origin.spelling += " " + value;
      }
      out.problems.push_back({origin, "", flag_answer(argument.substr(0, equals), value)});
    } else if (equals == std::string::npos || !is_key(argument.substr(0, equals))) {
      out.problems.push_back({origin, "", "settings are written section.key=value"});
    } else {
      add_argument(argument, equals, origin, layer, out);
    }
  }
}

std::string to_text(const Problem& problem) {
  const Origin& origin = problem.origin;
  if (origin.argument > 0) {
    return "argument " + std::to_string(origin.argument) + ": " + origin.spelling + ": " + problem.what;
  }
  std::string place = origin.file;
  if (origin.line > 0) place += ":" + std::to_string(origin.line) + ":" + std::to_string(origin.column);
  if (place.empty()) place = "config";
  if (problem.key.empty()) return place + ": " + problem.what;
  return place + " " + problem.key + ": " + problem.what;
}

}  // namespace txtsum::config
