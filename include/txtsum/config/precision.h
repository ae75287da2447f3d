#pragma once

#include <string_view>
#include <vector>

namespace txtsum::config {

/// The type of weights and activations.
enum class Precision { kFp32, kBf16, kFp16 };
inline std::vector<std::string_view> choice_names(Precision) { return {"fp32", "bf16", "fp16"}; }

}  // namespace txtsum::config
