#pragma once

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>

namespace txtsum::tests {

/// Counts the bytes of the process's CPU tensors that are made from its first use on.
class CountingAllocator final : public c10::Allocator {
 public:
  static CountingAllocator& instance() {
    static auto* counting = new CountingAllocator;  // tensors outlive the tests
    return *counting;
  }

  int64_t live() const { return locked(live_); }
  int64_t peak() const { return locked(peak_); }
  void reset_peak() {
    const std::lock_guard<std::mutex> lock(mutex_);
    peak_ = live_;
  }

  c10::DataPtr allocate(size_t bytes) override {
    // Some libraries take the pointer without its context, so that sizes are kept beside.
    if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::kCPU)};
    void* data = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (data == nullptr) throw std::bad_alloc();
    const std::lock_guard<std::mutex> lock(mutex_);
    sizes_[data] = static_cast<int64_t>(bytes);
    live_ += static_cast<int64_t>(bytes);
    peak_ = std::max(peak_, live_);
    return {data, data, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

 private:
  static constexpr size_t kAlignment = 64;

  CountingAllocator() { c10::SetCPUAllocator(this, /*priority=*/100); }

  static void release(void* data) {
    if (data == nullptr) return;
    CountingAllocator& self = instance();
    {
      const std::lock_guard<std::mutex> lock(self.mutex_);
      const auto found = self.sizes_.find(data);
      self.live_ -= found->second;
      self.sizes_.erase(found);
    }
    std::free(data);
  }
  int64_t locked(const int64_t& value) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value;
  }

  mutable std::mutex mutex_;
  std::unordered_map<void*, int64_t> sizes_;
  int64_t live_ = 0, peak_ = 0;
};

}  // namespace txtsum::tests
