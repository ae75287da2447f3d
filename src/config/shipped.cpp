#include "txtsum/config/shipped.h"

#include <algorithm>
#include <filesystem>

#include "config/shipped_files.h"
#include "config/yaml_tree.h"
#include "txtsum/config/suggest.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::config {
namespace {

std::string_view title_of(std::string_view text) {
  if (!text.starts_with("# ")) return "";
  return text.substr(2, text.find('\n') - 2);
}

std::vector<ShippedConfig> make_list() {
  std::vector<ShippedConfig> out;
  for (const ShippedFile& file : shipped_files()) {
    std::string_view name = file.path;
    name.remove_suffix(std::string_view(".yaml").size());
    out.push_back({name, title_of(file.text), file.text});
  }
  std::sort(out.begin(), out.end(), [](const ShippedConfig& a, const ShippedConfig& b) { return a.name < b.name; });
  return out;
}

/// Names of the configs that `config` includes, those of its includes too.
void add_includes(const ShippedConfig& config, std::vector<const ShippedConfig*>& out) {
  for (const YamlNode& entry : parse_yaml(config.text).children) {
    if (entry.key != "include") continue;
    std::vector<Value> names = entry.value.items;
    if (entry.value.kind == Value::Kind::kScalar) names.push_back(entry.value);
    for (const Value& name : names) {
      const std::filesystem::path folder = std::filesystem::path(std::string(config.name)).parent_path();
      const ShippedConfig& fragment = find_shipped_config((folder / name.text).lexically_normal().string());
      if (std::find(out.begin(), out.end(), &fragment) != out.end()) continue;
      out.push_back(&fragment);
      add_includes(fragment, out);
    }
  }
}

}  // namespace

const std::vector<ShippedConfig>& shipped_configs() {
  static const std::vector<ShippedConfig> list = make_list();
  return list;
}

const ShippedConfig& find_shipped_config(std::string_view name) {
  std::string wanted(name);
  if (wanted.starts_with("configs/")) wanted.erase(0, std::string_view("configs/").size());
  if (wanted.ends_with(".yaml")) wanted.resize(wanted.size() - std::string_view(".yaml").size());
  std::vector<std::string> names;
  for (const ShippedConfig& config : shipped_configs()) {
    if (config.name == wanted) return config;
    names.emplace_back(config.name);
  }
  const auto close = closest_word(wanted, names);
  throw core::UserError("no config is named '" + wanted + "'" + (close ? " (did you mean " + *close + "?)" : "") +
                        "; `txtsum config list` shows all");
}

bool is_fragment(const ShippedConfig& config) { return config.name.starts_with("base/"); }

std::vector<std::string> copy_shipped_config(const ShippedConfig& config, const std::string& folder) {
  std::vector<const ShippedConfig*> configs = {&config};
  add_includes(config, configs);
  std::vector<std::string> paths;
  for (const ShippedConfig* each : configs) {
    paths.push_back((std::filesystem::path(folder) / (std::string(each->name) + ".yaml")).string());
    std::error_code error;
    if (std::filesystem::exists(paths.back(), error) && core::read_file(paths.back()) != each->text) {
      throw core::UserError(paths.back() + " exists and differs; nothing was written");
    }
  }
  for (size_t i = 0; i < configs.size(); ++i) core::write_file(paths[i], configs[i]->text);
  return paths;
}

}  // namespace txtsum::config
