#include "txtsum/app/table.h"

#include <gtest/gtest.h>

namespace txtsum::app {
namespace {

TEST(Table, AlignsColumnsByCodePoints) {
  Table table({"block", "weights"}, {Table::Align::kLeft, Table::Align::kRight});
  table.add_row({"embeddings", "1,234"});
  table.add_row({"\u00e9ncoder", "5"});
  EXPECT_EQ(table.text(),
            "block       weights\n"
            "----------  -------\n"
            "embeddings    1,234\n"
            "\u00e9ncoder           5\n");
}

TEST(Table, IndentsSectionsAndContinuesCells) {
  Table table;
  table.add_section("train");
  table.add_row({"learning_rate", "3e-05"});
  table.add_row({"data", "a.jsonl\nb.jsonl"});
  table.add_row({"alone"});
  EXPECT_EQ(table.text(),
            "train\n"
            "  learning_rate  3e-05\n"
            "  data           a.jsonl\n"
            "                 b.jsonl\n"
            "  alone\n");
}

TEST(Table, OfNothingIsEmpty) { EXPECT_EQ(Table().text(), ""); }

TEST(WithSeparators, GroupsDigits) {
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(-123), "-123");
  EXPECT_EQ(with_separators(-1234), "-1,234");
  EXPECT_EQ(with_separators(1234567890), "1,234,567,890");
}

TEST(FormatDuration, TakesTheTwoLargestUnits) {
  EXPECT_EQ(format_duration(0.42), "0.4 s");
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(245), "4 min 05 s");
  EXPECT_EQ(format_duration(12000), "3 h 20 min");
  EXPECT_EQ(format_duration(187200), "2 d 04 h");
  EXPECT_EQ(format_duration(-1), "?");
}

}  // namespace
}  // namespace txtsum::app
