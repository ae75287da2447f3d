#include "txtsum/app/number_text.h"

#include <gtest/gtest.h>

namespace txtsum::tests {
namespace {

TEST(NumberText, KeepsThreeSignificantDigits) {
  EXPECT_EQ(app::significant(0), "0");
  EXPECT_EQ(app::significant(0.004123), "0.00412");
  EXPECT_EQ(app::significant(12.345), "12.3");
  EXPECT_EQ(app::significant(-12.345), "-12.3");
  EXPECT_EQ(app::significant(1234.5), "1,235");
  EXPECT_EQ(app::significant(1.5e-9), "1.50e-09");
}

TEST(NumberText, FitsTheUnit) {
  EXPECT_EQ(app::value_text(metrics::measured(245, "s", "clock")), "4 min 05 s");
  EXPECT_EQ(app::value_text(metrics::measured(1.5 * 1024 * 1024 * 1024, "bytes", "x")), "1.50 GiB");
  EXPECT_EQ(app::value_text(metrics::measured(0.0312, "USD", "x")), "0.0312 USD");
  EXPECT_EQ(app::value_text(metrics::missing("USD", "no price")), "missing");
}

TEST(NumberText, DifferencesHaveASign) {
  EXPECT_EQ(app::signed_value_text(metrics::measured(-65, "s", "clock")), "-1 min 05 s");
  EXPECT_EQ(app::signed_value_text(metrics::measured(2, "Wh", "x")), "+2.00 Wh");
  EXPECT_EQ(app::signed_value_text(metrics::measured(0, "Wh", "x")), "0 Wh");
}

}  // namespace
}  // namespace txtsum::tests
