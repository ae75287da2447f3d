#include "txtsum/config/foreign_names.h"

#include <algorithm>
#include <charconv>

#include "config/foreign_table.h"

namespace txtsum::config {
namespace {

/// `--Name-with-dashes` as a key.
std::string normal_name(std::string_view name) {
  const size_t start = name.find_first_not_of('-');
  std::string out(start == std::string_view::npos ? "" : name.substr(start));
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

/// Bare flags and Python's booleans as `true` and `false`.
std::string normal_value(std::string_view value) {
  if (value.empty() || value == "True") return "true";
  if (value == "False") return "false";
  return std::string(value);
}

const ForeignName* find(const std::string& name) {
  for (const ForeignGroup& group : foreign_table()) {
    for (const ForeignName& entry : group.names) {
      if (entry.name == name) return &entry;
    }
  }
  return nullptr;
}

/// A DeepSpeed block as a whole answers for what is below it.
const ForeignName* find_block(const std::string& name) {
  const ForeignName* entry = find(name);
  if (entry != nullptr) return entry;
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return nullptr;
  const ForeignName* block = find(name.substr(0, dot));
  return block != nullptr && block->ours.empty() && block->values.empty() ? block : nullptr;
}

std::string less_one(const std::string& value) {
  int64_t number = 0;
  const auto result = std::from_chars(value.data(), value.data() + value.size(), number);
  if (result.ec != std::errc() || result.ptr != value.data() + value.size()) return "...";
  return std::to_string(std::max<int64_t>(number - 1, 0));
}

std::string our_line(const ForeignName& entry, const std::string& value, bool bare) {
  for (const auto& [theirs, ours] : entry.values) {
    if (theirs == value) return std::string(ours);
  }
  if (entry.ours.empty()) return "";
  std::string key(entry.ours);
  std::string converted = bare && value != "true" ? "..." : value;
  if (entry.conversion == ForeignValue::kLessOne) converted = less_one(value);
  if (entry.conversion == ForeignValue::kWarmup) {
    double number = 1;
    std::from_chars(value.data(), value.data() + value.size(), number);
    if (number > 0 && number < 1) key = "schedule.warmup_share";
  }
  return key + "=" + converted;
}

}  // namespace

std::optional<std::string> foreign_answer(std::string_view name, std::string_view value) {
  const std::string key = normal_name(name);
  const ForeignName* entry = find_block(key);
  if (entry == nullptr) return std::nullopt;
  const std::string line = our_line(*entry, normal_value(value), value.empty());
  std::string out = "not a key of txtsum; ";
  if (line.empty()) return out + std::string(entry->note.empty() ? "it has no counterpart" : entry->note);
  out += "write " + line;
  if (!entry->note.empty()) out += " (" + std::string(entry->note) + ")";
  return out;
}

}  // namespace txtsum::config
