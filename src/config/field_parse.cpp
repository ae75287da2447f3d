#include "config/field_parse.h"

#include <charconv>
#include <cmath>
#include <type_traits>

#include "config/field_text.h"
#include "txtsum/config/suggest.h"

namespace txtsum::config {
namespace {

std::string found(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return "nothing";
    case Value::Kind::kList:
      return "a list";
    case Value::Kind::kMap:
      return "keys below it";
    case Value::Kind::kScalar:
      break;
  }
  return "'" + value.text + "'";
}

/// Parses one value for one field; the first complaint wins.
class Parser {
 public:
  explicit Parser(const Field& field) : field_(field) {}
  const std::string& error() const { return error_; }

  void read(const Value& value, bool& out) {
    if (!scalar(value)) return;
    if (value.text != "true" && value.text != "false") return wrong_type(value);
    out = value.text == "true";
  }

  void read(const Value& value, int64_t& out) {
    if (!scalar(value)) return;
    const char* end = value.text.data() + value.text.size();
    int64_t number = 0;
    const auto result = std::from_chars(value.text.data(), end, number);
    if (result.ec == std::errc::result_out_of_range) return fail("'" + value.text + "' is too large");
    if (result.ec != std::errc() || result.ptr != end) return wrong_type(value);
    if (in_range(static_cast<double>(number), value.text)) out = number;
  }

  void read(const Value& value, double& out) {
    if (!scalar(value)) return;
    const char* end = value.text.data() + value.text.size();
    double number = 0;
    const auto result = std::from_chars(value.text.data(), end, number);
    if (result.ec != std::errc() || result.ptr != end || !std::isfinite(number)) return wrong_type(value);
    if (in_range(number, value.text)) out = number;
  }

  void read(const Value& value, std::string& out) {
    if (!scalar(value)) return;
    if (field_.note.required && value.text.empty()) return fail("must not be empty");
    out = value.text;
  }

  template <typename T>
  void read(const Value& value, std::vector<T>& out) {
    std::vector<T> items;
    if (value.kind == Value::Kind::kScalar && std::is_same_v<T, std::string>) {
      read_item(value, items);
    } else if (value.kind == Value::Kind::kList) {
      for (const Value& item : value.items) read_item(item, items);
    } else if (value.kind != Value::Kind::kNull) {
      return wrong_type(value);
    }
    if (error_.empty()) out = std::move(items);
  }

  template <typename T>
  void read(const Value& value, std::optional<T>& out) {
    if (value.kind == Value::Kind::kNull) {
      out = std::nullopt;
      return;
    }
    T inner{};
    read(value, inner);
    if (error_.empty()) out = std::move(inner);
  }

  void read(const Value& value, const ChoiceReference& out) {
    if (value.kind == Value::Kind::kNull && out.optional) return out.set(std::nullopt);
    if (!scalar(value)) return;
    for (size_t i = 0; i < out.names.size(); ++i) {
      if (out.names[i] == value.text) return out.set(i);
    }
    const auto close = closest_word(value.text, {out.names.begin(), out.names.end()});
    fail("wanted " + describe_type(field_) + ", found '" + value.text + "'" +
         (close ? " (did you mean " + *close + "?)" : ""));
  }

 private:
  template <typename T>
  void read_item(const Value& value, std::vector<T>& items) {
    T item{};
    read(value, item);
    items.push_back(std::move(item));
  }

  bool scalar(const Value& value) {
    if (value.kind != Value::Kind::kScalar) {
      wrong_type(value);
      return false;
    }
    if (value.text == "auto" && !field_.note.allows_auto) {
      fail("auto is not a value; leave the key out for its default, or write what you want");
      return false;
    }
    return true;
  }

  bool in_range(double number, const std::string& text) {
    const FieldNote& note = field_.note;
    const bool low = note.above_minimum ? number > note.minimum : number >= note.minimum;
    const bool high = note.below_maximum ? number < note.maximum : number <= note.maximum;
    if (!low || !high) fail("must be " + describe_range(note) + ", found " + text);
    return low && high;
  }

  void wrong_type(const Value& value) { fail("wanted " + describe_type(field_) + ", found " + found(value)); }
  void fail(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }

  const Field& field_;
  std::string error_;
};

}  // namespace

std::string parse_field(const Field& field, const Value& value) {
  Parser parser(field);
  std::visit(
      [&](const auto& reference) {
        if constexpr (std::is_same_v<std::decay_t<decltype(reference)>, ChoiceReference>) {
          parser.read(value, reference);
        } else {
          parser.read(value, *reference);
        }
      },
      field.value);
  return parser.error();
}

}  // namespace txtsum::config
