#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace txtsum::ops {

/// Copies to a GPU on a stream of its own, beside what the GPU computes.
class DeviceCopies {
 public:
  explicit DeviceCopies(const c10::Device& device);
  ~DeviceCopies();

  /// Copies `bytes`, which lie in pinned memory, to the GPU; the host does not wait. What is asked of the current
  /// stream from now on waits for it. On a CPU: `bytes` itself.
  at::Tensor upload(const at::Tensor& bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace txtsum::ops
