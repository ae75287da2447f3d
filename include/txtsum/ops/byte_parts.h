#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <utility>

namespace txtsum::ops {

/// Deals out views of one buffer of bytes, each at a multiple of 256; without a buffer it only measures.
class ByteParts {
 public:
  explicit ByteParts(at::Tensor bytes = {}) : bytes_(std::move(bytes)) {}

  /// The next `count` elements; undefined where it only measures.
  at::Tensor take(int64_t count, at::ScalarType type) {
    const int64_t begin = next_, size = count * static_cast<int64_t>(c10::elementSize(type));
    next_ += (size + kAlignment - 1) / kAlignment * kAlignment;
    return bytes_.defined() ? bytes_.narrow(0, begin, size).view(type) : at::Tensor();
  }
  /// Bytes that everything dealt out so far takes.
  int64_t size() const { return next_; }

 private:
  static constexpr int64_t kAlignment = 256;
  at::Tensor bytes_;
  int64_t next_ = 0;
};

}  // namespace txtsum::ops
