#include <gmock/gmock.h>

#include "record_files.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Rows = std::vector<std::vector<std::string>>;

class CsvFormatTest : public RecordFiles {
 protected:
  /// Reads the fixture's texts under a header of two columns; rows of another width are refused here and not in Python.
  void compare_with_python(const std::string& fixture, const std::string& file, const std::string& header) const {
    int refused = 0;
    for (const auto& item : core::read_json_file(kFixtures + fixture)) {
      const auto text = item["text"].get<std::string>();
      const std::string error = error_of(file, header + text);
      if (item["rows"].is_null()) {
        EXPECT_NE(error, "") << text;
        ++refused;
        continue;
      }
      bool even = true;
      for (const auto& row : item["rows"]) even = even && row.size() == 2;
      EXPECT_EQ(error.empty(), even) << text << ": " << error;
      if (even) {
        EXPECT_EQ(pairs_in(folder_.path(file)), item["rows"].get<Rows>()) << text;
      } else {
        EXPECT_THAT(error, HasSubstr("wanted 2 fields")) << text;
      }
    }
    EXPECT_GT(refused, 100);
  }
};

TEST_F(CsvFormatTest, ReadsRandomTextsAsPythonDoes) {
  compare_with_python("csv_cases.json", "x.csv", "text,summary\n");
  compare_with_python("tsv_cases.json", "x.tsv", "text\tsummary\n");
}

TEST_F(CsvFormatTest, ReadsRandomTablesAsPythonDoes) {
  for (const auto& item : core::read_json_file(kFixtures + "table_cases.json")) {
    const auto names = item["columns"].get<std::vector<std::string>>();
    const auto wanted = item["rows"].get<Rows>();
    const auto text = item["text"].get<std::string>();
    const std::string path = write("x." + item["ending"].get<std::string>(), text);
    for (size_t i = 0; i + 1 < names.size(); ++i) {  // each column once as source and once as target
      const Rows found = pairs_in(path, columns(names[i], names[i + 1]));
      ASSERT_EQ(found.size(), wanted.size()) << text;
      for (size_t row = 0; row < found.size(); ++row) {
        EXPECT_EQ(found[row], (std::vector<std::string>{wanted[row][i], wanted[row][i + 1]})) << text;
      }
    }
  }
}

TEST_F(CsvFormatTest, ReadsQuotedFieldsOfManyLines) {
  const Rows wanted = {{"one\ntwo\r\n\nthree", "say \"hi\", she said"}, {"", "tab\there"}};
  const std::string rows = "\"one\ntwo\r\n\nthree\",\"say \"\"hi\"\", she said\"\r\n,tab\there";
  EXPECT_EQ(pairs_of("x.csv", "\xef\xbb\xbftext,summary\r\n" + rows), wanted);
  EXPECT_EQ(pairs_of("x.csv", "\xef\xbb\xbf\"text\",\"summary\"\r\n" + rows + "\r\n"), wanted);
  EXPECT_EQ(pairs_of("x.TSV", "text\tsummary\n\"a\tb\"\tc, d\n\n\"\"\t\n"), (Rows{{"a\tb", "c, d"}, {"", ""}}));

  const auto records = read_all(write("x.csv", "text,summary\r\n" + rows));
  EXPECT_EQ(records[0].line, 2);
  EXPECT_EQ(records[1].line, 6);
}

// Fields of every length around a page and a large read, so that quotes, separators and line breaks fall on borders.
TEST_F(CsvFormatTest, ReadsFieldsAcrossPages) {
  for (const size_t page : {4096u, 65536u}) {
    std::string text = "text,summary\n";
    Rows wanted;
    for (size_t length = page - 24; length < page + 8; ++length) {
      const std::string plain(length, 'a');
      wanted.push_back({plain + "\"\r\n,", "漢" + plain});
      text += "\"" + plain + "\"\"\r\n,\",漢" + plain + "\r\n";
    }
    EXPECT_EQ(pairs_of("x.csv", text), wanted);
    text.pop_back();
    text.pop_back();
    EXPECT_EQ(pairs_of("x.csv", text), wanted);
  }
}

TEST_F(CsvFormatTest, ReadsAHeaderAlone) {
  for (const char* end : {"", "\n", "\r\n", "\n\n"})
    EXPECT_EQ(pairs_of("x.csv", std::string("text,summary") + end), Rows{});
  EXPECT_THAT(error_of("x.csv", ""), HasSubstr("x.csv: no row; wanted a header row"));
  EXPECT_THAT(error_of("x.tsv", "\xef\xbb\xbf"), HasSubstr("no row"));
  EXPECT_THAT(error_of("x.csv", "\n\n"), HasSubstr("no row"));
}

TEST_F(CsvFormatTest, ErrorsNameTheLineOnWhichTheRowBegins) {
  const std::string header = "text,summary\n";
  EXPECT_THAT(error_of("x.csv", header + "\"a\nb\",c\nd\n"),
              HasSubstr("x.csv:4: wanted 2 fields as in the header row, found 1"));
  EXPECT_THAT(error_of("x.csv", header + "a,b\n\"c\n\",d,e\n"),
              HasSubstr("x.csv:3: wanted 2 fields as in the header row, found 3"));
  EXPECT_THAT(error_of("x.csv", header + "a,b\n\"c\n\n,d\n"),
              HasSubstr("x.csv:3: the quote of field 1 is never closed"));
  EXPECT_THAT(error_of("x.csv", header + "a,b\n\"c\n\",\"d\n"),
              HasSubstr("x.csv:3: the quote of field 2 (on line 4) is never closed"));
  EXPECT_THAT(error_of("x.csv", header + "\"a\"b,c\n"),
              AllOf(HasSubstr("x.csv:2: wanted a comma"), Not(HasSubstr("on line"))));
  EXPECT_THAT(
      error_of("x.csv", header + "\"a\",\"b\nc\" d\n"),
      HasSubstr("x.csv:2: wanted a comma or the end of the line after the closing quote of field 2 (on line 3)"));
  EXPECT_THAT(error_of("x.tsv", "text\tsummary\n\"a\"b\tc\n"), HasSubstr("x.tsv:2: wanted a tab"));
  EXPECT_THAT(error_of("x.csv", header + "a,b\n\xe9t\xe9,c\n"), AllOf(HasSubstr("x.csv:3"), HasSubstr("UTF-8")));
}

TEST_F(CsvFormatTest, RefusesHeadersThatNameColumnsTwiceOrNotAtAll) {
  EXPECT_THAT(error_of("x.csv", "text,summary,text\na,b,c\n"), HasSubstr("x.csv:1: column 'text' is there twice"));
  EXPECT_THAT(error_of("x.csv", "\n,text,summary\n0,a,b\n"),
              AllOf(HasSubstr("x.csv:2: column 1 of the header row has no name"), HasSubstr("index=False")));
  EXPECT_THAT(error_of("x.csv", "text,summary\na,b\n", columns("text", "abstract")),
              HasSubstr("x.csv:1: no column 'abstract'; found 'text', 'summary'"));
  EXPECT_THAT(error_of("x.csv", "text\tsummary\na\tb\n"), HasSubstr("found 'text\tsummary'"));
}

}  // namespace
}  // namespace txtsum::data
