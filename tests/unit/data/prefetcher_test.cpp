#include "txtsum/data/prefetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>

namespace txtsum::data {
namespace {

Prefetcher<int>::Produce count_to(int end) {
  return [next = std::make_shared<int>(0), end]() -> std::optional<int> {
    if (*next == end) return std::nullopt;
    return (*next)++;
  };
}

TEST(Prefetcher, HandsOutAllItemsInOrder) {
  for (const size_t capacity : {0u, 1u, 3u, 1000u}) {
    Prefetcher<int> prefetcher(count_to(500), capacity);
    for (int i = 0; i < 500; ++i) ASSERT_EQ(prefetcher.next(), i) << capacity;
    EXPECT_EQ(prefetcher.next(), std::nullopt);
    EXPECT_EQ(prefetcher.next(), std::nullopt);
  }
}

TEST(Prefetcher, HandsOnAnExceptionAfterTheItemsBefore) {
  for (const size_t capacity : {0u, 1u, 8u}) {
    Prefetcher<int> prefetcher(
        [next = 0]() mutable -> std::optional<int> {
          if (next == 5) throw std::runtime_error("the fifth");
          return next++;
        },
        capacity);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(prefetcher.next(), i);
    EXPECT_THROW(prefetcher.next(), std::runtime_error);
    EXPECT_THROW(prefetcher.next(), std::runtime_error);
  }
}

TEST(Prefetcher, MakesNoMoreThanItsCapacityAhead) {
  std::atomic<int> made{0};
  Prefetcher<int> prefetcher([&]() -> std::optional<int> { return made++; }, 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(made, 4);  // three ready and one in hand
  EXPECT_EQ(prefetcher.next(), 0);
}

TEST(Prefetcher, EndsCleanlyAtAnyMoment) {
  for (int round = 0; round < 2000; ++round) {
    Prefetcher<std::unique_ptr<int>> prefetcher(
        [next = 0]() mutable -> std::optional<std::unique_ptr<int>> { return std::make_unique<int>(next++); },
        static_cast<size_t>(round % 4 + 1));
    for (int i = 0; i < round % 7; ++i) ASSERT_EQ(**prefetcher.next(), i);
  }
}

}  // namespace
}  // namespace txtsum::data
