#include "txtsum/ops/device_copy.h"

#include <ATen/ATen.h>

#include <cstring>

#include "txtsum/core/check.h"

#ifdef TXTSUM_WITH_CUDA
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <optional>
#endif

namespace txtsum::ops {
namespace {

void check_alike(const at::Tensor& from, const at::Tensor& to) {
  TXTSUM_CHECK(from.is_contiguous() && to.is_contiguous() && from.scalar_type() == to.scalar_type() &&
                   from.numel() == to.numel(),
               "copies of ", from.numel(), " to ", to.numel(), " elements");
}

}  // namespace

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

struct CopyMark::Impl {
  explicit Impl(unsigned flags = cudaEventDisableTiming) : event(flags) {}
  mutable at::cuda::CUDAEvent event;
};

CopyMark::CopyMark(const c10::Device& device) {
  if (device.is_cuda()) impl_ = std::make_shared<Impl>(cudaEventDisableTiming | cudaEventExternal);
}

void CopyMark::move_to_current() const {
  if (impl_) impl_->event.record(c10::cuda::getCurrentCUDAStream());
}

void CopyMark::block_current() const {
  if (impl_) impl_->event.block(c10::cuda::getCurrentCUDAStream());
}

void CopyMark::wait() const {
  if (impl_) impl_->event.synchronize();
}

struct CopyStream::Impl {
  std::optional<c10::cuda::CUDAStream> stream;
};

CopyStream::CopyStream(const c10::Device& device) : impl_(std::make_unique<Impl>()) {
  if (device.is_cuda()) impl_->stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index());
}

void CopyStream::follow_current() {
  if (!impl_->stream) return;
  at::cuda::CUDAEvent now;
  now.record(c10::cuda::getCurrentCUDAStream());
  now.block(*impl_->stream);
}

void CopyStream::copy(const at::Tensor& from, const at::Tensor& to) {
  check_alike(from, to);
  if (from.numel() == 0) return;
  TXTSUM_CHECK(!impl_->stream || from.is_cuda() != to.is_cuda(), "copies go to a GPU or come from it");
  if (!impl_->stream) {
    std::memcpy(to.mutable_data_ptr(), from.const_data_ptr(), from.nbytes());
    return;
  }
  C10_CUDA_CHECK(cudaMemcpyAsync(to.mutable_data_ptr(), from.const_data_ptr(), from.nbytes(),
                                 to.is_cuda() ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost,
                                 impl_->stream->stream()));
}

CopyMark CopyStream::mark() const {
  CopyMark mark;
  if (!impl_->stream) return mark;
  const auto impl = std::make_shared<CopyMark::Impl>();
  impl->event.record(*impl_->stream);
  mark.impl_ = impl;
  return mark;
}

void CopyStream::run(const std::function<void()>& work) const {
  if (!impl_->stream) return work();
  const c10::cuda::CUDAStreamGuard guard(*impl_->stream);
  work();
}

#else

struct DeviceCopies::Impl {};

DeviceCopies::DeviceCopies(const c10::Device&) {}

at::Tensor DeviceCopies::upload(const at::Tensor& bytes) { return bytes; }

struct CopyMark::Impl {};

CopyMark::CopyMark(const c10::Device&) {}

void CopyMark::move_to_current() const {}

void CopyMark::block_current() const {}

void CopyMark::wait() const {}

struct CopyStream::Impl {};

CopyStream::CopyStream(const c10::Device&) {}

void CopyStream::follow_current() {}

void CopyStream::copy(const at::Tensor& from, const at::Tensor& to) {
  check_alike(from, to);
  if (from.numel() > 0) std::memcpy(to.mutable_data_ptr(), from.const_data_ptr(), from.nbytes());
}

CopyMark CopyStream::mark() const { return {}; }

void CopyStream::run(const std::function<void()>& work) const { work(); }

#endif

DeviceCopies::~DeviceCopies() = default;

CopyStream::~CopyStream() = default;

}  // namespace txtsum::ops
