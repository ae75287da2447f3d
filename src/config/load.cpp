#include "txtsum/config/load.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>

#include "config/field_list.h"
#include "config/field_parse.h"
#include "config/settings.h"
#include "config/unknown_key.h"
#include "txtsum/config/experiment_config.h"
#include "txtsum/core/error.h"

namespace txtsum::config {
namespace {

/// Unknown keys that are compared with all known ones for a hint: a file of thousands is no config.
constexpr size_t kMostExplained = 200;

bool is_set(const Setting* setting) { return setting != nullptr && setting->value.kind != Value::Kind::kNull; }

bool is_empty(const Field& field) {
  if (const auto* text = std::get_if<std::string*>(&field.value)) return (*text)->empty();
  if (const auto* list = std::get_if<std::vector<std::string>*>(&field.value)) return (*list)->empty();
  return false;
}

/// Turns settings into a config and collects what is wrong.
class Loader {
 public:
  Loader(Settings settings, std::string path) : settings_(std::move(settings)), path_(std::move(path)) {
    problems_ = settings_.problems;
    fields_ = list_fields(config_);
  }

  ExperimentConfig load(bool whole) {
    keep_highest_layer();
    drop_exclusive();
    parse_fields();
    if (config_.run.name.empty()) config_.run.name = std::filesystem::path(path_).stem().string();
    config_.complete();
    if (whole && !settings_.unreadable) check_required();
    if (parsed_ && !settings_.unreadable) check_fields(whole);
    throw_problems();
    return config_;
  }

 private:
  void keep_highest_layer() {
    size_t unknown = 0;
    for (const Setting& setting : settings_.settings) {
      const bool known = std::any_of(fields_.begin(), fields_.end(),
                                     [&](const ListedField& listed) { return listed.key == setting.key; });
      if (known) {
        chosen_[setting.key] = &setting;
      } else if (++unknown > kMostExplained) {
        problems_.push_back({setting.origin, setting.key, "unknown key"});
      } else if (auto what = explain_unknown_key(setting, fields_); !what.empty()) {
        problems_.push_back({setting.origin, setting.key, std::move(what)});
      }
    }
  }

  const Setting* chosen(const std::string& key) const {
    const auto found = chosen_.find(key);
    return found == chosen_.end() ? nullptr : found->second;
  }

  void drop_exclusive() {
    for (const ListedField& listed : fields_) {
      if (listed.field.note.exclusive_with.empty()) continue;
      const std::string other_key = listed.section + "." + std::string(listed.field.note.exclusive_with);
      const Setting* mine = chosen(listed.key);
      const Setting* other = chosen(other_key);
      if (!is_set(mine) || !is_set(other)) continue;
      if (mine->layer < other->layer) chosen_.erase(listed.key);
      if (mine->layer == other->layer && mine > other) {
        problems_.push_back({mine->origin, mine->key, "cannot be set together with " + other_key});
      }
    }
  }

  void parse_fields() {
    for (const ListedField& listed : fields_) {
      const Setting* setting = chosen(listed.key);
      if (setting == nullptr) continue;
      std::string what = parse_field(listed.field, setting->value);
      if (what.empty()) continue;
      parsed_ = false;
      what.append(" (").append(listed.field.note.help).append(")");
      problems_.push_back({setting->origin, setting->key, std::move(what)});
    }
  }

  void check_required() {
    for (const ListedField& listed : fields_) {
      if (!listed.field.note.required || !is_empty(listed.field)) continue;
      const bool said = std::any_of(problems_.begin(), problems_.end(),
                                    [&](const Problem& problem) { return problem.key == listed.key; });
      if (said) continue;
      problems_.push_back(
          {origin_of(listed.key), listed.key,
           "is missing. " + std::string(listed.field.note.help) + " Set it in the file, or as " + listed.key + "=..."});
    }
  }

  void check_fields(bool whole) {
    Complaints complaints;
    if (whole) {
      config_.check(complaints);
    } else {
      config_.generation.check(complaints);
    }
    for (const Complaints::Entry& entry : complaints.entries()) {
      problems_.push_back({origin_of(entry.key), entry.key, entry.what});
    }
  }

  Origin origin_of(const std::string& key) const {
    const Setting* setting = chosen(key);
    return setting != nullptr ? setting->origin : Origin{path_, 0, 0, 0, ""};
  }

  void throw_problems() {
    if (problems_.empty()) return;
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
      const auto place = [](const Origin& origin) {
        return std::tie(origin.argument, origin.file, origin.line, origin.column);
      };
      return place(a.origin) < place(b.origin);
    });
    std::string text;
    for (const Problem& problem : problems_) {
      if (!text.empty()) text += '\n';
      text += to_text(problem);
    }
    throw core::UserError(text);
  }

  Settings settings_;
  std::string path_;
  ExperimentConfig config_;
  std::vector<ListedField> fields_;
  std::map<std::string, const Setting*> chosen_;
  std::vector<Problem> problems_;
  bool parsed_ = true;
};

}  // namespace

ExperimentConfig load_experiment(const std::string& path, const std::vector<std::string>& arguments) {
  Settings settings;
  read_yaml_file(path, settings);
  read_arguments(arguments, settings);
  return Loader(std::move(settings), path).load(true);
}

ExperimentConfig load_arguments(const std::vector<std::string>& arguments) {
  Settings settings;
  read_arguments(arguments, settings);
  return Loader(std::move(settings), "").load(false);
}

}  // namespace txtsum::config
