#include "txtsum/metrics/porter_stemmer.h"

#include <gtest/gtest.h>

#include <fstream>

namespace txtsum::metrics {
namespace {

TEST(PorterStemmer, HasTheExtensionsOfNltk) {
  EXPECT_EQ(porter_stem("skies"), "sky");
  EXPECT_EQ(porter_stem("dies"), "die");
  EXPECT_EQ(porter_stem("flies"), "fli");
  EXPECT_EQ(porter_stem("enjoy"), "enjoy");
  EXPECT_EQ(porter_stem("happy"), "happi");
  EXPECT_EQ(porter_stem("geology"), "geolog");
  EXPECT_EQ(porter_stem("is"), "is");
  EXPECT_EQ(porter_stem(""), "");
}

// scripts/reference/make_rouge_fixtures.py: real words, and made ones with one or two of the algorithm's suffixes.
TEST(PorterStemmer, EqualsNltkOnAWordList) {
  std::ifstream file(TXTSUM_SOURCE_DIR "/tests/fixtures/rouge/stems.txt");
  std::string word, stem;
  size_t count = 0;
  while (file >> word >> stem) {
    ++count;
    EXPECT_EQ(porter_stem(word), stem) << word;
  }
  EXPECT_GT(count, 20000u);
}

}  // namespace
}  // namespace txtsum::metrics
