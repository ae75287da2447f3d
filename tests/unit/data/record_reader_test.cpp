#include "txtsum/data/record_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kFixtures = std::string(TXTSUM_SOURCE_DIR) + "/tests/fixtures/data/";

std::vector<Record> read_all(const std::string& path, const ColumnRequest& request = {}) {
  RecordReader reader(path, request);
  std::vector<Record> records;
  for (Record record; reader.next(record);) records.push_back(record);
  return records;
}

class RecordReaderTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path(name), std::ios::binary | std::ios::trunc) << text;
    return folder_.path(name);
  }
  std::string error_of(const std::string& name, const std::string& text, const ColumnRequest& request = {}) const {
    try {
      read_all(write(name, text), request);
    } catch (const core::DataError& error) {
      return error.what();
    }
    return "";
  }
  tests::TemporaryFolder folder_;
};

TEST_F(RecordReaderTest, ReadsWhatPythonWrote) {
  const core::Json wanted = core::read_json_file(kFixtures + "pairs.json");
  for (const char* name : {"pairs.csv", "pairs.jsonl"}) {
    const std::vector<Record> records = read_all(kFixtures + name);
    ASSERT_EQ(records.size(), wanted.size()) << name;
    for (size_t i = 0; i < records.size(); ++i) {
      EXPECT_EQ(records[i].id, wanted[i]["id"].get<std::string>());
      EXPECT_EQ(records[i].source, wanted[i]["dialogue"].get<std::string>());
      EXPECT_EQ(records[i].target, wanted[i]["summary"].get<std::string>());
    }
  }
}

TEST_F(RecordReaderTest, ReadsCsvAsPythonDoes) {
  int refused = 0;
  for (const auto& item : core::read_json_file(kFixtures + "csv_cases.json")) {
    // A header of as many columns as the first row has; ragged rows are refused here and not there.
    const auto text = item["text"].get<std::string>();
    if (item["rows"].is_null()) {
      EXPECT_NE(error_of("x.csv", "text,summary\n" + text), "") << text;
      ++refused;
      continue;
    }
    bool even = true;
    for (const auto& row : item["rows"]) even = even && row.size() == 2;
    const std::string error = error_of("x.csv", "text,summary\n" + text);
    EXPECT_EQ(error.empty(), even) << text << ": " << error;
    if (!even) {
      EXPECT_THAT(error, HasSubstr("wanted 2 fields")) << text;
      continue;
    }
    std::vector<std::vector<std::string>> found;
    for (const Record& record : read_all(folder_.path("x.csv"))) found.push_back({record.source, record.target});
    EXPECT_EQ(found, item["rows"].get<std::vector<std::vector<std::string>>>()) << text;
  }
  EXPECT_GT(refused, 100);
}

TEST_F(RecordReaderTest, FindsTheKnownPairs) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"dialogue", "summary"}, {"article", "highlights"}, {"document", "summary"}, {"text", "summary"}};
  for (const auto& [source, target] : pairs) {
    const std::string header = "id," + target + "," + source + "\n7,t,s\n";
    RecordReader reader(write("x.csv", header), {});
    EXPECT_EQ(reader.columns().source, source);
    EXPECT_EQ(reader.columns().target, target);
    EXPECT_EQ(reader.columns().id, "id");
    EXPECT_TRUE(reader.columns().found_by_name);
    Record record;
    ASSERT_TRUE(reader.next(record));
    EXPECT_EQ(record.source + record.target + record.id, "st7");
    EXPECT_EQ(record.line, 2);
    EXPECT_FALSE(reader.next(record));
  }
  EXPECT_THAT(error_of("x.csv", "text,document,summary\na,b,c\n"), HasSubstr("two known pairs"));
  EXPECT_THAT(
      error_of("x.csv", "body,abstract\na,b\n"),
      AllOf(HasSubstr("x.csv:1: no known columns"), HasSubstr("'body', 'abstract'"), HasSubstr("data.source_column")));
}

TEST_F(RecordReaderTest, ReadsNamedColumns) {
  ColumnRequest request;
  request.source = "body";
  request.target = "abstract";
  request.id = "key";
  const auto records =
      read_all(write("x.jsonl", R"({"body":"b","abstract":"a","key":12,"text":"t","summary":"s"})"), request);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].source + records[0].target + records[0].id, "ba12");
  EXPECT_THAT(error_of("x.jsonl", R"({"body":"b","key":"k"})", request),
              AllOf(HasSubstr("x.jsonl:1: no column 'abstract'; found 'body', 'key'")));
  request.target.reset();
  EXPECT_THAT(error_of("x.jsonl", R"({"body":"b","key":"k"})", request), HasSubstr("name both"));
  request.wants_target = false;
  EXPECT_EQ(error_of("x.jsonl", R"({"body":"b","key":"k"})", request), "");
}

TEST_F(RecordReaderTest, ReadsSourcesAlone) {
  ColumnRequest request;
  request.wants_target = false;
  const auto records =
      read_all(write("x.jsonl", "{\"document\":\"d\"}\n\n{\"document\":\"e\",\"summary\":3}\n"), request);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].source, "e");
  EXPECT_EQ(records[1].target, "");
  EXPECT_EQ(records[1].line, 3);
}

TEST_F(RecordReaderTest, ErrorsOfJsonLinesNameTheLine) {
  const std::string good = "{\"text\":\"a\",\"summary\":\"b\"}\r\n";
  EXPECT_EQ(error_of("x.jsonl", "\xef\xbb\xbf" + good + "\n  \n" + good), "");
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":\"a\"\n"), HasSubstr("x.jsonl:2: not a line of valid JSON"));
  EXPECT_THAT(error_of("x.jsonl", good + "\n{\"text\":\"a\"}\n"),
              HasSubstr("x.jsonl:3: no column 'summary'; found 'text'"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":3,\"summary\":\"b\"}\n"),
              HasSubstr("x.jsonl:2: column 'text': wanted a string, found number"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":null,\"summary\":\"b\"}\n"), HasSubstr("found null"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":[\"a\"],\"summary\":\"b\"}\n"), HasSubstr("found array"));
  EXPECT_THAT(error_of("x.jsonl", good + "3\n"), HasSubstr("x.jsonl:2: wanted a JSON object, found number"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":\"\xff\",\"summary\":\"b\"}\n"), HasSubstr("x.jsonl:2"));
  EXPECT_THAT(error_of("x.json", "[{\"text\":\"a\",\"summary\":\"b\"}]"), HasSubstr("jq -c"));
  EXPECT_THAT(error_of("x.json", "[\n{\"text\":\"a\",\"summary\":\"b\"}\n]"), HasSubstr("jq -c"));
  EXPECT_THAT(error_of("x.jsonl", ""), HasSubstr("no row"));
  EXPECT_THAT(error_of("x.txt", good), HasSubstr("'.txt'"));
  EXPECT_THROW(read_all(folder_.path("none.jsonl")), core::DataError);
}

TEST_F(RecordReaderTest, ErrorsOfCsvNameTheLine) {
  const std::string header = "text,summary\n";
  EXPECT_THAT(error_of("x.csv", header + "\"a\nb\",c\nd\n"),
              HasSubstr("x.csv:4: wanted 2 fields as in the header row, found 1"));
  EXPECT_THAT(error_of("x.csv", header + "a,b\nc,d,e\n"),
              HasSubstr("x.csv:3: wanted 2 fields as in the header row, found 3"));
  EXPECT_THAT(error_of("x.csv", header + "a,b\n\"c\n\n,d\n"), HasSubstr("x.csv:3: a quoted field is never closed"));
  EXPECT_THAT(error_of("x.csv", header + "\"a\"b,c\n"), HasSubstr("x.csv:2: wanted a comma"));
  EXPECT_THAT(error_of("x.csv", header + "a,b\n\xe9t\xe9,c\n"), AllOf(HasSubstr("x.csv:3"), HasSubstr("UTF-8")));
  EXPECT_THAT(error_of("x.csv", "text,summary,text\na,b,c\n"), HasSubstr("'text' is there twice"));
  EXPECT_THAT(error_of("x.csv", "\n\n"), HasSubstr("no row"));
  EXPECT_EQ(error_of("x.csv", header), "");
}

}  // namespace
}  // namespace txtsum::data
