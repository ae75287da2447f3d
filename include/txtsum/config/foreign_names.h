#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace txtsum::config {

/// What to write in place of a setting by its name in transformers or DeepSpeed, with or without dashes in front:
/// `per_device_train_batch_size`, "16" gives "write train.batch_size=16 (...)". An empty `value` is a bare flag.
/// Nothing for names that are not in the table.
std::optional<std::string> foreign_answer(std::string_view name, std::string_view value);

}  // namespace txtsum::config
