#include "txtsum/metrics/porter_stemmer.h"

#include <gtest/gtest.h>

namespace txtsum::metrics {
namespace {

TEST(PorterStemmer, ExtensionsOfNltk) {
  EXPECT_EQ(porter_stem("skies"), "sky");
  EXPECT_EQ(porter_stem("dies"), "die");
  EXPECT_EQ(porter_stem("flies"), "fli");
  EXPECT_EQ(porter_stem("enjoy"), "enjoy");
  EXPECT_EQ(porter_stem("happy"), "happi");
  EXPECT_EQ(porter_stem("is"), "is");
}

}  // namespace
}  // namespace txtsum::metrics
