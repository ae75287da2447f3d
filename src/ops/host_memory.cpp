#include "txtsum/ops/host_memory.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "txtsum/core/check.h"
#include "txtsum/core/error.h"

#ifdef TXTSUM_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace txtsum::ops {
namespace {

/// Of x86-64's large pages. With small ones the update takes a third more time.
constexpr size_t kLargePage = size_t{1} << 21;
constexpr size_t kSmallPage = size_t{1} << 12;

/// Anonymous memory, a whole number of pages.
class Mapping {
 public:
  explicit Mapping(size_t bytes) : bytes_((bytes + kSmallPage - 1) / kSmallPage * kSmallPage) {
    // Room to begin at a large page.
    reserved_ = bytes_ + kLargePage;
    begin_ = ::mmap(nullptr, reserved_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin_ == MAP_FAILED) throw std::bad_alloc();
    const auto address = reinterpret_cast<uintptr_t>(begin_);
    data_ = reinterpret_cast<char*>((address + kLargePage - 1) / kLargePage * kLargePage);
    if (bytes_ >= kLargePage) ::madvise(data_, bytes_, MADV_HUGEPAGE);  // a system without them goes on with small ones
    touch();
  }
  ~Mapping() {
#ifdef TXTSUM_WITH_CUDA
    if (pinned_ && cudaHostUnregister(data_) != cudaSuccess)
      cudaGetLastError();  // at a process' end the driver may have gone
#endif
    ::munmap(begin_, reserved_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void pin() {
#ifdef TXTSUM_WITH_CUDA
    const cudaError_t code = cudaHostRegister(data_, bytes_, cudaHostRegisterPortable);
    pinned_ = code == cudaSuccess;
    if (pinned_) return;
    cudaGetLastError();
    throw core::EnvironmentError(
        "could not pin " + std::to_string(bytes_ >> 20) + " MiB of host memory (" + cudaGetErrorString(code) +
        "); parallel.offload=none needs none, several ranks with parallel.zero_stage=1 share it");
#else
    TXTSUM_CHECK(false, "a binary without code for GPUs");
#endif
  }
  void* data() const { return data_; }

 private:
  /// Makes the pages, in turn near each thread: whatever stretch is worked on, all memories of the machine give of it.
  void touch() {
    const int64_t threads = std::min<int64_t>(at::get_num_threads(), static_cast<int64_t>(bytes_ / kLargePage) + 1);
    at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
      for (int64_t thread = first; thread < last; ++thread) {
        const size_t step = static_cast<size_t>(threads) * kLargePage;
        for (size_t at = static_cast<size_t>(thread) * kLargePage; at < bytes_; at += step) {
          std::memset(data_ + at, 0, std::min(kLargePage, bytes_ - at));
        }
      }
    });
  }

  size_t bytes_, reserved_ = 0;
  void* begin_ = nullptr;
  char* data_ = nullptr;
  bool pinned_ = false;
};

}  // namespace

at::Tensor host_zeros(int64_t numel, at::ScalarType dtype, const c10::Device& device) {
  const at::TensorOptions options = at::TensorOptions().dtype(dtype);
  if (numel == 0) return at::from_blob(nullptr, {0}, options);
  auto mapping = std::make_unique<Mapping>(static_cast<size_t>(numel) * c10::elementSize(dtype));
  if (device.is_cuda()) mapping->pin();
  Mapping* const owned = mapping.release();
  return at::from_blob(
      owned->data(), {numel}, [owned](void*) { delete owned; }, options);
}

}  // namespace txtsum::ops
