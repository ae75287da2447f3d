#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace txtsum::data {

/// Calls `produce` ahead of its consumer on a thread of its own and keeps up to `capacity` items ready, in order.
/// Capacity 0 makes each item when it is asked for, without a thread. `produce` returns nothing at the end. An item
/// carries its own position (RankBatch), so items that were made and never taken are simply made again after a resume.
template <typename Item>
class Prefetcher {
 public:
  using Produce = std::function<std::optional<Item>()>;

  Prefetcher(Produce produce, size_t capacity) : produce_(std::move(produce)), capacity_(capacity) {
    if (capacity_ > 0) thread_ = std::thread([this] { run(); });
  }
  /// Stops after the item in the making, and drops what is ready.
  ~Prefetcher() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next item; nothing at the end, however often it is called. Waits while there is none yet. Throws what
  /// `produce` threw, after the items made before; then again at each call. To be called from one thread.
  std::optional<Item> next() {
    if (capacity_ == 0) return produce_here();
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || finished_; });
    if (ready_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return std::nullopt;
    }
    std::optional<Item> item(std::move(ready_.front()));
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return item;
  }

 private:
  std::optional<Item> produce_here() {
    if (failure_) std::rethrow_exception(failure_);
    if (finished_) return std::nullopt;
    try {
      std::optional<Item> item = produce_();
      finished_ = !item.has_value();
      return item;
    } catch (...) {
      failure_ = std::current_exception();
      throw;
    }
  }

  void run() {
    std::exception_ptr failure;
    try {
      while (std::optional<Item> item = produce_()) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return ready_.size() < capacity_ || stopping_; });
        if (stopping_) break;
        ready_.push_back(std::move(*item));
        lock.unlock();
        changed_.notify_all();
      }
    } catch (...) {
      failure = std::current_exception();
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      failure_ = failure;
      finished_ = true;
    }
    changed_.notify_all();
  }

  Produce produce_;
  size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> ready_;
  std::exception_ptr failure_;
  bool finished_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace txtsum::data
