#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace txtsum::config {

/// The word that a config uses for an enum's value. Every enum of this layer has `choice_names(Enum)`, its words in
/// order.
template <typename Enum>
std::string_view name_of(Enum value) {
  return choice_names(value)[static_cast<size_t>(value)];
}

/// An enum (or optional enum) field without its type: the words it takes, and its index among them.
struct ChoiceReference {
  std::vector<std::string_view> names;
  bool optional = false;
  std::function<std::optional<size_t>()> get;
  std::function<void(std::optional<size_t>)> set;
};

/// Where a field's value lives. Optional ones may be unset; all others always have a value.
using FieldReference =
    std::variant<bool*, int64_t*, double*, std::string*, std::optional<bool>*, std::optional<int64_t>*,
                 std::optional<double>*, std::optional<std::string>*, std::vector<std::string>*, std::vector<int64_t>*,
                 std::optional<std::vector<int64_t>>*, std::optional<std::vector<std::vector<int64_t>>>*,
                 ChoiceReference>;

/// What a user should know about a field.
struct FieldNote {
  std::string_view help;                                      ///< One line, for the reference.
  std::string_view unit = "";                                 ///< `tokens`, `minutes`, ...; empty for pure numbers.
  double minimum = -std::numeric_limits<double>::infinity();  ///< Inclusive, unless `above_minimum`.
  double maximum = std::numeric_limits<double>::infinity();   ///< Inclusive, unless `below_maximum`.
  bool above_minimum = false;                                 ///< The minimum itself is refused.
  bool below_maximum = false;                                 ///< The maximum itself is refused.
  bool required = false;                                      ///< A string or list that must not stay empty.
  bool allows_auto = false;                                   ///< The word `auto` is a value (only run.resume).
  bool changes_training = true;          ///< Two configs that differ here cannot continue each other's training.
  std::string_view default_note = "";    ///< What an unset or derived value becomes, for the reference.
  std::string_view exclusive_with = "";  ///< Key of the same section that cannot be set together with this one.
};

/// One setting: its key within the section, its place, and its note.
struct Field {
  std::string_view key;
  FieldReference value;
  FieldNote note;
};

/// Receives the fields of a struct, in the order of its header. Parsing, dump, diff, reference and checks are visitors.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  /// Called by the aggregate before a section's fields.
  virtual void section(std::string_view key, std::string_view help) = 0;
  virtual void visit(const Field& field) = 0;

  template <typename Value>
  void field(std::string_view key, Value& value, const FieldNote& note) {
    if constexpr (std::is_enum_v<Value>) {
      visit({key, enum_reference(value), note});
    } else {
      visit({key, &value, note});
    }
  }
  template <typename Enum, typename = std::enable_if_t<std::is_enum_v<Enum>>>
  void field(std::string_view key, std::optional<Enum>& value, const FieldNote& note) {
    visit({key, optional_enum_reference(value), note});
  }

 private:
  template <typename Enum>
  static ChoiceReference enum_reference(Enum& value) {
    return {choice_names(Enum{}), false, [&value] { return std::optional<size_t>(static_cast<size_t>(value)); },
            [&value](std::optional<size_t> index) { value = static_cast<Enum>(*index); }};
  }
  template <typename Enum>
  static ChoiceReference optional_enum_reference(std::optional<Enum>& value) {
    return {choice_names(Enum{}), true,
            [&value] { return value ? std::optional<size_t>(static_cast<size_t>(*value)) : std::nullopt; },
            [&value](std::optional<size_t> index) {
              value = index ? std::optional<Enum>(static_cast<Enum>(*index)) : std::nullopt;
            }};
  }
};

/// Collects what is wrong across fields; the loader adds file, line and column of the key.
class Complaints {
 public:
  struct Entry {
    std::string key;   ///< With its section: `train.batch_size`.
    std::string what;  ///< What is wrong and what to do.
  };
  /// `key` is the full key.
  void add(std::string key, std::string what) { entries_.push_back({std::move(key), std::move(what)}); }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace txtsum::config
