#include "config/field_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <type_traits>

namespace txtsum::config {
namespace {

template <typename T>
struct is_optional_type : std::false_type {};
template <typename T>
struct is_optional_type<std::optional<T>> : std::true_type {};

std::string format(bool value) { return value ? "true" : "false"; }
std::string format(int64_t value) { return std::to_string(value); }
std::string format(double value) { return format_double(value); }
std::string format(const std::string& value) { return quote_yaml(value); }

template <typename T>
std::string format(const std::vector<T>& values) {
  std::string out = "[";
  for (const T& value : values) {
    if (out.size() > 1) out += ", ";
    out += format(value);
  }
  return out + "]";
}

template <typename T>
std::string format(const std::optional<T>& value) {
  return value ? format(*value) : "null";
}

std::string type_name(bool) { return "true or false"; }
std::string type_name(int64_t) { return "whole number"; }
std::string type_name(double) { return "number"; }
std::string type_name(const std::string&) { return "text"; }
std::string type_name(const std::vector<std::string>&) { return "text or list of texts"; }
std::string type_name(const std::vector<int64_t>&) { return "list of whole numbers"; }
std::string type_name(const std::vector<std::vector<int64_t>>&) { return "list of lists of whole numbers"; }
template <typename T>
std::string type_name(const std::optional<T>&) {
  return type_name(T{});
}

/// A bound of a range: whole numbers without an exponent.
std::string format_bound(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? std::to_string(static_cast<int64_t>(value)) : format_double(value);
}

bool is_plain(std::string_view text) {
  static constexpr std::string_view kSafe = "_./@+~-";
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kSafe.find(c) != std::string_view::npos;
  });
  const bool starts_well = !text.empty() && text[0] != '-' && text[0] != '@' && text[0] != '~' && text[0] != '.';
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return safe && starts_well && lower != "null" && lower != "true" && lower != "false";
}

}  // namespace

std::string quote_yaml(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += std::string("\\") + c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string format_double(double value) {
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end.ptr};
}

std::string format_value(const Field& field) {
  return std::visit(
      [](const auto& reference) -> std::string {
        using Reference = std::decay_t<decltype(reference)>;
        if constexpr (std::is_same_v<Reference, ChoiceReference>) {
          const auto index = reference.get();
          return index ? std::string(reference.names[*index]) : "null";
        } else {
          return format(*reference);
        }
      },
      field.value);
}

std::string describe_type(const Field& field) {
  return std::visit(
      [](const auto& reference) -> std::string {
        using Reference = std::decay_t<decltype(reference)>;
        if constexpr (std::is_same_v<Reference, ChoiceReference>) {
          std::string out;
          for (size_t i = 0; i < reference.names.size(); ++i) {
            if (i > 0) out += i + 1 == reference.names.size() ? " or " : ", ";
            out += reference.names[i];
          }
          return out;
        } else {
          return type_name(std::decay_t<decltype(*reference)>{});
        }
      },
      field.value);
}

std::string describe_range(const FieldNote& note) {
  std::string out;
  if (std::isfinite(note.minimum)) {
    out.append(note.above_minimum ? "more than " : "at least ").append(format_bound(note.minimum));
  }
  if (std::isfinite(note.maximum)) {
    if (!out.empty()) out.append(" and ");
    out.append(note.below_maximum ? "less than " : "at most ").append(format_bound(note.maximum));
  }
  return out;
}

bool is_optional(const Field& field) {
  return std::visit(
      [](const auto& reference) {
        using Reference = std::decay_t<decltype(reference)>;
        if constexpr (std::is_same_v<Reference, ChoiceReference>) {
          return reference.optional;
        } else {
          return is_optional_type<std::decay_t<decltype(*reference)>>::value;
        }
      },
      field.value);
}

}  // namespace txtsum::config
