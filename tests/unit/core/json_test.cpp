#include "txtsum/core/parse_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "txtsum/core/error.h"

namespace txtsum::core {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_json(text, "a.json");
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

std::string nested(size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(ParseJson, KeepsTheOrderOfKeysOrSortsThem) {
  EXPECT_EQ(to_line(parse_json(R"({"b": 1, "a": "[\"{"})", "a.json")), R"({"b":1,"a":"[\"{"})");
  EXPECT_EQ(parse_json<nlohmann::json>(R"({"b": 1, "a": 2})", "a.json").dump(), R"({"a":2,"b":1})");
}

TEST(ParseJson, SaysWhatIsWrongAndInWhichFile) {
  EXPECT_THAT(error_of("{\"a\": }"), AllOf(HasSubstr("a.json: not valid JSON at byte 7"), HasSubstr("'}'")));
  EXPECT_THAT(error_of("[1e999]"),
              AllOf(HasSubstr("a.json: a number in the JSON is out of range"), HasSubstr("1e999")));
}

TEST(ParseJson, DoesNotRepeatALongFile) {
  const std::string error = error_of("[\"" + std::string(100000, 'x') + "\t\"]");
  EXPECT_THAT(error, HasSubstr("a.json: not valid JSON at byte 100003: "));
  EXPECT_LT(error.size(), 300);
}

TEST(ParseJson, RefusesNestingThatWouldExhaustTheStack) {
  EXPECT_EQ(error_of(nested(500)), "");
  EXPECT_EQ(error_of("[\"" + std::string(600, '[') + "\\\"[\"]"), "");
  EXPECT_THAT(error_of(nested(501)), HasSubstr("a.json: byte 501: JSON nested more than 500 levels deep"));
  EXPECT_THAT(error_of(nested(1000000)), HasSubstr("byte 501"));
}

}  // namespace
}  // namespace txtsum::core
