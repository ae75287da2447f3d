#include <gtest/gtest.h>

#include "txtsum/parallel/communicator.h"

namespace txtsum::parallel {
namespace {

TEST(Parts, CoverTheElementsOnceInRankOrder) {
  for (int64_t world = 1; world <= 9; ++world) {
    for (int64_t numel = 0; numel <= 200; ++numel) {
      const int64_t length = part_length(numel, world);
      int64_t end = 0;
      for (int64_t rank = 0; rank < world; ++rank) {
        const Part part = part_of(numel, world, rank);
        ASSERT_EQ(part.begin, end) << numel << " elements, rank " << rank << " of " << world;
        ASSERT_LE(part.numel(), length);
        ASSERT_GE(part.numel(), 0);
        end = part.end;
      }
      ASSERT_EQ(end, numel);
    }
  }
}

TEST(Parts, AreEqualMultiplesOfEightButForTheEnd) {
  for (int64_t world = 1; world <= 9; ++world) {
    for (int64_t numel = 0; numel <= 200; ++numel) {
      const int64_t length = part_length(numel, world);
      bool at_the_end = false;
      for (int64_t rank = 0; rank < world; ++rank) {
        const Part part = part_of(numel, world, rank);
        if (part.numel() == length && !at_the_end && part.end < numel) {
          ASSERT_EQ(length % 8, 0);
          continue;
        }
        ASSERT_TRUE(part.end == numel) << numel << " elements, rank " << rank << " of " << world;
        ASSERT_TRUE(!at_the_end || part.numel() == 0);
        at_the_end = true;
      }
      // No other multiple of eight would do with a shorter longest part.
      ASSERT_LT(length - 8, (numel + world - 1) / world);
    }
  }
}

TEST(Parts, OfFewElementsAreEmptyForMostRanks) {
  EXPECT_EQ(part_of(3, 4, 0), (Part{0, 3}));
  EXPECT_EQ(part_of(3, 4, 3), (Part{3, 3}));
  EXPECT_EQ(part_length(3, 4), 3);
  EXPECT_EQ(part_of(17, 2, 1), (Part{16, 17}));
}

}  // namespace
}  // namespace txtsum::parallel
