#include "txtsum/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace txtsum::core {
namespace {

// Known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, GivesThePublishedWords) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  EXPECT_EQ(philox4x32({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
            (std::array<uint32_t, 4>{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

TEST(RandomStream, StreamsOfOneSeedDiffer) {
  RandomStream a(1, 0), b(1, 1);
  EXPECT_NE(a.next_u32(), b.next_u32());
}

TEST(RandomStream, DrawsBelowTheBoundAndReachesEveryValue) {
  RandomStream random(3, 0);
  std::vector<int> seen(7);
  for (int i = 0; i < 1000; ++i) ++seen.at(random.next_below(7));
  EXPECT_GT(*std::min_element(seen.begin(), seen.end()), 100);
}

TEST(RandomPermutation, IsAPermutationAndAPureFunctionOfItsKey) {
  const auto order = random_permutation(100, 5, 2);
  EXPECT_EQ(order, random_permutation(100, 5, 2));
  EXPECT_NE(order, random_permutation(100, 5, 3));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[static_cast<size_t>(i)], i);
}

}  // namespace
}  // namespace txtsum::core
