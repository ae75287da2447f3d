#include "txtsum/ops/device_graph.h"

#include "txtsum/core/check.h"

#ifdef TXTSUM_WITH_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace txtsum::ops {

#ifdef TXTSUM_WITH_CUDA

namespace allocator = c10::cuda::CUDACachingAllocator;

struct DeviceGraph::Impl {
  at::cuda::CUDAGraph graph;
};

struct DevicePool::Impl {
  bool on_gpu = false;
  c10::DeviceIndex device = 0;
  at::MempoolId_t id{0, 0};
  bool made = false;
};

DevicePool::DevicePool(const c10::Device& device) : impl_(std::make_unique<Impl>()) {
  impl_->on_gpu = device.is_cuda();
  if (!impl_->on_gpu) return;
  impl_->device = c10::cuda::current_device();
  impl_->id = at::cuda::graph_pool_handle();
}

DevicePool::~DevicePool() {
  if (impl_->made) allocator::releasePool(impl_->device, impl_->id);
}

void DevicePool::run(const std::function<void()>& work) {
  if (!impl_->on_gpu) return work();
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
  allocator::beginAllocateToPool(impl_->device, impl_->id, [stream](cudaStream_t other) { return other == stream; });
  // Each begin counts as one use of the pool; one is kept until the end.
  struct End {
    Impl& pool;
    ~End() {
      allocator::endAllocateToPool(pool.device, pool.id);
      if (pool.made) allocator::releasePool(pool.device, pool.id);
      pool.made = true;
    }
  } end{*impl_};
  work();
}

std::unique_ptr<DeviceGraph> DevicePool::capture(const std::function<void()>& work) {
  TXTSUM_CHECK(impl_->on_gpu, "graphs are captured on a GPU");
  auto graph = std::make_unique<DeviceGraph::Impl>();
  // Other threads (autograd's among them) may go on calling what a capture forbids to its own.
  graph->graph.capture_begin(impl_->id, cudaStreamCaptureModeThreadLocal);
  work();
  graph->graph.capture_end();
  return std::unique_ptr<DeviceGraph>(new DeviceGraph(std::move(graph)));
}

void DeviceGraph::replay() { impl_->graph.replay(); }

#else

struct DeviceGraph::Impl {};
struct DevicePool::Impl {};

DevicePool::DevicePool(const c10::Device&) {}

DevicePool::~DevicePool() = default;

void DevicePool::run(const std::function<void()>& work) { work(); }

std::unique_ptr<DeviceGraph> DevicePool::capture(const std::function<void()>&) {
  TXTSUM_CHECK(false, "a binary without code for GPUs");
  return nullptr;
}

void DeviceGraph::replay() {}

#endif

DeviceGraph::DeviceGraph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DeviceGraph::~DeviceGraph() = default;

}  // namespace txtsum::ops
