#include "txtsum/config/suggest.h"

#include <gtest/gtest.h>

namespace txtsum::config {
namespace {

TEST(ClosestWord, CountsInsertsDeletesReplacementsAndSwaps) {
  const std::vector<std::string> words = {"learning_rate", "beams", "epochs"};
  EXPECT_EQ(closest_word("lerning_rate", words), "learning_rate");
  EXPECT_EQ(closest_word("learnign_rate", words), "learning_rate");
  EXPECT_EQ(closest_word("baems", words), "beams");
  EXPECT_EQ(closest_word("beems", words), "beams");
  EXPECT_EQ(closest_word("epochss", words), "epochs");
}

TEST(ClosestWord, GivesNothingWhereNothingIsClose) {
  EXPECT_EQ(closest_word("temperature", {"beams", "epochs"}), std::nullopt);
  EXPECT_EQ(closest_word("x", {}), std::nullopt);
  EXPECT_EQ(closest_word(std::string(100000, 'a'), {"beams"}), std::nullopt);
}

}  // namespace
}  // namespace txtsum::config
