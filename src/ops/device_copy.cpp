#include "txtsum/ops/device_copy.h"

#include <ATen/ATen.h>

#ifdef TXTSUM_WITH_CUDA
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <optional>
#endif

namespace txtsum::ops {

#ifdef TXTSUM_WITH_CUDA

struct DeviceCopies::Impl {
  std::optional<c10::cuda::CUDAStream> stream;
};

DeviceCopies::DeviceCopies(const c10::Device& device) : impl_(std::make_unique<Impl>()) {
  if (device.is_cuda()) impl_->stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index());
}

at::Tensor DeviceCopies::upload(const at::Tensor& bytes) {
  if (!impl_->stream) return bytes;
  const c10::cuda::CUDAStream reader = c10::cuda::getCurrentCUDAStream();
  at::cuda::CUDAEvent arrived;
  at::Tensor there;
  {
    const c10::cuda::CUDAStreamGuard guard(*impl_->stream);
    // The allocator of pinned memory hands a block out again only when the copy from it is done.
    there = at::empty(bytes.sizes(), bytes.options().pinned_memory(false).device(impl_->stream->device()));
    there.copy_(bytes, /*non_blocking=*/true);
    arrived.record();
  }
  arrived.block(reader);
  c10::cuda::CUDACachingAllocator::recordStream(there.storage().data_ptr(), reader);
  return there;
}

#else

struct DeviceCopies::Impl {};

DeviceCopies::DeviceCopies(const c10::Device&) {}

at::Tensor DeviceCopies::upload(const at::Tensor& bytes) { return bytes; }

#endif

DeviceCopies::~DeviceCopies() = default;

}  // namespace txtsum::ops
