#pragma once

// Rows of fp32 or bf16 tensors seen as floats, so that row kernels know one type.

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "txtsum/core/check.h"

namespace txtsum::ops {

/// Reads rows of a contiguous [N, D] tensor as floats; copies only where the type is bf16.
class FloatRows {
 public:
  explicit FloatRows(const at::Tensor& tensor_ND) : tensor_(tensor_ND), width_(tensor_ND.size(-1)) {
    TXTSUM_CHECK(tensor_.is_contiguous() && tensor_.is_cpu());
    TXTSUM_CHECK(tensor_.scalar_type() == at::kFloat || tensor_.scalar_type() == at::kBFloat16, "fp32 or bf16");
  }

  /// Row `row`; `buffer` (width floats) is used for bf16.
  const float* read(int64_t row, float* buffer) const {
    if (tensor_.scalar_type() == at::kFloat) return tensor_.const_data_ptr<float>() + row * width_;
    const at::BFloat16* values = tensor_.const_data_ptr<at::BFloat16>() + row * width_;
    for (int64_t i = 0; i < width_; ++i) buffer[i] = static_cast<float>(values[i]);
    return buffer;
  }

  /// Copies row `row` into `buffer`.
  void copy(int64_t row, float* buffer) const {
    const float* values = read(row, buffer);
    if (values != buffer) std::memcpy(buffer, values, static_cast<size_t>(width_) * sizeof(float));
  }

  /// Rounds `values` into row `row`.
  void write(int64_t row, const float* values) const {
    if (tensor_.scalar_type() == at::kFloat) {
      std::memcpy(tensor_.mutable_data_ptr<float>() + row * width_, values,
                  static_cast<size_t>(width_) * sizeof(float));
      return;
    }
    at::BFloat16* out = tensor_.mutable_data_ptr<at::BFloat16>() + row * width_;
    for (int64_t i = 0; i < width_; ++i) out[i] = static_cast<at::BFloat16>(values[i]);
  }

  int64_t width() const { return width_; }

 private:
  at::Tensor tensor_;
  int64_t width_;
};

/// A parameter vector as floats (copied where it is bf16).
inline std::vector<float> float_vector(const at::Tensor& values_D) {
  const at::Tensor floats = values_D.to(at::kFloat).contiguous();
  const float* data = floats.const_data_ptr<float>();
  return std::vector<float>(data, data + floats.numel());
}

}  // namespace txtsum::ops
