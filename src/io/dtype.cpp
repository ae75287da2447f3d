#include "dtype.h"

#include "txtsum/core/error.h"

namespace txtsum::io {
namespace {

// In the order of the enumeration in the safetensors crate (0.8), by which its writer sorts.
constexpr Dtype kDtypes[] = {
    {"BOOL", 8, 0, at::kBool},
    {"F4", 4, 1, std::nullopt},
    {"F6_E2M3", 6, 2, std::nullopt},
    {"F6_E3M2", 6, 3, std::nullopt},
    {"U8", 8, 4, at::kByte},
    {"I8", 8, 5, at::kChar},
    {"F8_E5M2", 8, 6, std::nullopt},
    {"F8_E4M3", 8, 7, std::nullopt},
    {"F8_E8M0", 8, 8, std::nullopt},
    {"F8_E4M3FNUZ", 8, 9, std::nullopt},
    {"F8_E5M2FNUZ", 8, 10, std::nullopt},
    {"I16", 16, 11, at::kShort},
    {"U16", 16, 12, std::nullopt},
    {"F16", 16, 13, at::kHalf},
    {"BF16", 16, 14, at::kBFloat16},
    {"I32", 32, 15, at::kInt},
    {"U32", 32, 16, std::nullopt},
    {"F32", 32, 17, at::kFloat},
    {"C64", 64, 18, std::nullopt},
    {"F64", 64, 19, at::kDouble},
    {"I64", 64, 20, at::kLong},
    {"U64", 64, 21, std::nullopt},
};

}  // namespace

const Dtype* find_dtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

const Dtype* find_dtype(at::ScalarType scalar_type) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.scalar_type == scalar_type) return &dtype;
  }
  return nullptr;
}

void require_booleans(const std::string& path, std::string_view file, const TensorEntry& entry) {
  for (uint64_t at = entry.begin; at < entry.end; ++at) {
    const auto byte = static_cast<unsigned char>(file[at]);
    if (byte <= 1) continue;
    throw core::DataError(path + ": byte " + std::to_string(at) + ": wanted 0 or 1 in BOOL tensor '" + entry.name +
                          "', found " + std::to_string(byte));
  }
}

}  // namespace txtsum::io
