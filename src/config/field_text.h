#pragma once

#include <string>
#include <string_view>

#include "txtsum/config/field.h"

namespace txtsum::config {

/// `text` as a YAML scalar that reads back as the same string.
std::string quote_yaml(std::string_view text);

/// The shortest text that reads back as the same double.
std::string format_double(double value);

/// The field's value on one line of YAML; `null` where it is unset.
std::string format_value(const Field& field);

/// What kind of value the field takes: `whole number`, `text`, `fp32 or bf16`, ...
std::string describe_type(const Field& field);

/// `at least 1`, `more than 0 and less than 1`, ...; empty where anything goes.
std::string describe_range(const FieldNote& note);

/// Whether the field may be unset.
bool is_optional(const Field& field);

}  // namespace txtsum::config
