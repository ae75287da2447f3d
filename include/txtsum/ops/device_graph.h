#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace txtsum::ops {

/// Work on a GPU, captured once as a CUDA graph and run again with one launch. What it reads and writes lies where it
/// lay at the capture; tensors that it makes live in the pool and hold nothing between two replays.
class DeviceGraph {
 public:
  ~DeviceGraph();
  /// Runs it on the current stream.
  void replay();

 private:
  friend class DevicePool;
  struct Impl;
  explicit DeviceGraph(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Memory that captured graphs and eager runs of the same work share, so that it is held once. Only for work that keeps
/// nothing that it makes. In a binary without code for GPUs only run() may be called.
class DevicePool {
 public:
  explicit DevicePool(const c10::Device& device);
  ~DevicePool();
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  /// Runs `work` eagerly; on a GPU what it makes comes from the pool.
  void run(const std::function<void()>& work);
  /// Captures `work` without running it. It must not wait for the GPU, and kernels that it launches must have run
  /// before (run() does that).
  std::unique_ptr<DeviceGraph> capture(const std::function<void()>& work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace txtsum::ops
