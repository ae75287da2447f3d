#include "txtsum/metrics/figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "txtsum/core/error.h"

namespace txtsum::tests {
namespace {

using core::Json;
using metrics::at_least;
using metrics::difference;
using metrics::Figure;
using metrics::figure_from_json;
using metrics::measured;
using metrics::missing;
using metrics::modelled;
using metrics::Provenance;
using ::testing::HasSubstr;

TEST(Figure, ComesBackFromJsonAsItWas) {
  for (const Figure& figure : {measured(1.5, "kWh", "a counter"), modelled(2, "USD", "a table", 2026, "without tax"),
                               missing("W", "set a key")}) {
    EXPECT_EQ(to_json(figure_from_json(to_json(figure))), to_json(figure));
  }
}

TEST(Figure, JsonOfAnotherFormIsRefused) {
  Json guessed = to_json(measured(1, "W", "x"));
  guessed["tag"] = "guessed";
  Json hollow = to_json(measured(1, "W", "x"));
  hollow["value"] = nullptr;
  Json known = to_json(missing("W", "why"));
  known["value"] = 1;
  for (const Json& json : {guessed, hollow, known, Json{{"value", 1}}, Json(3)}) {
    EXPECT_THROW(figure_from_json(json), core::DataError) << json.dump();
  }
}

TEST(Figure, ADifferenceIsNoBetterKnownThanItsParts) {
  const Figure found = difference(measured(3, "Wh", "a counter"), measured(5, "Wh", "a counter"));
  EXPECT_EQ(*found.value, 2);
  EXPECT_EQ(found.provenance, Provenance::kMeasured);
  EXPECT_EQ(found.source, "a counter");
  const Figure mixed = difference(measured(3, "Wh", "a counter"), modelled(1, "Wh", "a table", 2024));
  EXPECT_EQ(*mixed.value, -2);
  EXPECT_EQ(mixed.provenance, Provenance::kModelled);
  EXPECT_EQ(mixed.source, "a counter; a table");
  EXPECT_FALSE(mixed.year);
}

TEST(Figure, ALowerBoundStaysOneThroughJsonAndInADifferenceThatItBounds) {
  const Figure plain = measured(3, "Wh", "a counter"), bound = at_least(measured(5, "Wh", "a counter"), "killed");
  EXPECT_TRUE(figure_from_json(to_json(bound)).lower_bound);
  EXPECT_FALSE(figure_from_json(to_json(plain)).lower_bound);
  EXPECT_TRUE(difference(plain, bound).lower_bound);
  EXPECT_EQ(difference(plain, bound).value, 2.0);
  EXPECT_FALSE(difference(bound, plain).known()) << "at least 5 off 3 is bounded on no side";
}

TEST(Figure, ADifferenceToSomethingMissingIsMissing) {
  const Figure price = modelled(1, "USD", "a table");
  EXPECT_THAT(difference(missing("USD", "set a price"), price).note, HasSubstr("the first is missing: set a price"));
  EXPECT_THAT(difference(price, missing("USD", "set a price")).note, HasSubstr("the second is missing"));
}

TEST(Figure, ADifferenceSaysWhatItsPartsLeaveOut) {
  const Figure all = measured(2, "Wh", "x"), part = measured(1, "Wh", "x", "without ram");
  EXPECT_EQ(difference(part, part).note, "without ram");
  EXPECT_EQ(difference(all, part).note, "the first: all of it; the second: without ram");
}

TEST(Figure, DifferentUnitsAreAFault) {
  EXPECT_THROW(difference(measured(1, "Wh", "x"), measured(1, "kWh", "x")), core::InternalError);
}

}  // namespace
}  // namespace txtsum::tests
