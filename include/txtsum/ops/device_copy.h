#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
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

/// A place in a stream of a GPU: behind what it was asked for so far. Those of CopyStream::mark stay where they are.
class CopyMark {
 public:
  CopyMark() = default;
  /// One to be moved.
  explicit CopyMark(const c10::Device& device);
  /// Moves it to where the current stream is now. A CUDA graph can hold that: each replay moves it, for those that
  /// wait outside of the graph.
  void move_to_current() const;
  /// Has what is asked of the current stream from now on wait for it.
  void block_current() const;
  /// Waits for it.
  void wait() const;

 private:
  friend class CopyStream;
  struct Impl;
  std::shared_ptr<const Impl> impl_;  // null on a CPU, where copies are over when they return
};

/// Copies between host memory (host_zeros) and a GPU on a stream of their own, beside what the GPU computes. The host
/// does not wait. A CUDA graph can hold them, where what it captures begins with follow_current() and a mark blocks the
/// stream that is captured. On a CPU copies are made at once.
class CopyStream {
 public:
  explicit CopyStream(const c10::Device& device);
  ~CopyStream();

  /// What is asked for from now on comes after what is on the current stream by now.
  void follow_current();
  /// `from` and `to` are contiguous and alike in type and size, and stay there until a later mark has come.
  void copy(const at::Tensor& from, const at::Tensor& to);
  CopyMark mark() const;
  /// Calls `work` while this stream is the current one.
  void run(const std::function<void()>& work) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace txtsum::ops
