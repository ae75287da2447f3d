#include "txtsum/data/record_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record_files.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using RecordReaderTest = RecordFiles;

TEST_F(RecordReaderTest, ReadsWhatPythonWrote) {
  const core::Json wanted = core::read_json_file(kFixtures + "pairs.json");
  for (const char* name : {"pairs.csv", "pairs.jsonl", "pairs.json"}) {
    const std::vector<Record> records = read_all(kFixtures + name);
    ASSERT_EQ(records.size(), wanted.size()) << name;
    for (size_t i = 0; i < records.size(); ++i) {
      EXPECT_EQ(records[i].id, wanted[i]["id"].get<std::string>());
      EXPECT_EQ(records[i].source, wanted[i]["dialogue"].get<std::string>());
      EXPECT_EQ(records[i].target, wanted[i]["summary"].get<std::string>());
    }
  }
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
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":\"a\"\n"),
              HasSubstr("x.jsonl:2: not valid JSON at byte 12 of the row"));
  EXPECT_THAT(error_of("x.jsonl", good + "\n{\"text\":\"a\"}\n"),
              HasSubstr("x.jsonl:3: no column 'summary'; found 'text'"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":3,\"summary\":\"b\"}\n"),
              HasSubstr("x.jsonl:2: column 'text': wanted a string, found number"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":null,\"summary\":\"b\"}\n"), HasSubstr("found null"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":[\"a\"],\"summary\":\"b\"}\n"), HasSubstr("found array"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":\"a\",\"summary\":\"b\",\"n\":1e999}\n"),
              HasSubstr("x.jsonl:2: a number that is out of range: number overflow"));
  EXPECT_THAT(error_of("x.jsonl", good + "3\n"), HasSubstr("x.jsonl:2: wanted a JSON object, found number"));
  EXPECT_THAT(error_of("x.jsonl", good + "{\"text\":\"\xff\",\"summary\":\"b\"}\n"), HasSubstr("x.jsonl:2"));
  EXPECT_THAT(error_of("x.jsonl", "[{\"text\":\"a\",\"summary\":\"b\"}]"), HasSubstr("jq -c"));
  EXPECT_THAT(error_of("x.jsonl", "[\n{\"text\":\"a\",\"summary\":\"b\"}\n]"), HasSubstr("jq -c"));
  EXPECT_THAT(error_of("x.jsonl", ""), HasSubstr("no row"));
  EXPECT_THAT(error_of("x.txt", good), HasSubstr("'.txt'"));
  EXPECT_THROW(read_all(folder_.path("none.jsonl")), core::DataError);
}

TEST_F(RecordReaderTest, TellsTheFormatByTheEnding) {
  const std::string line = "{\"text\":\"a\",\"summary\":\"b\"}";
  const std::vector<std::vector<std::string>> cases = {{"x.jsonl", line, "JSON lines"},
                                                       {"x.ndjson", line, "JSON lines"},
                                                       {"x.JsonL", line, "JSON lines"},
                                                       {"x.json", line, "JSON lines"},
                                                       {"x.json", "[" + line + "]", "JSON document"},
                                                       {"x.csv", "text,summary\na,b", "CSV"},
                                                       {"x.Csv", "text,summary\na,b", "CSV"},
                                                       {"x.tsv", "text\tsummary\na\tb", "TSV"}};
  for (const auto& item : cases) {
    RecordReader reader(write(item[0], item[1]), {});
    EXPECT_EQ(reader.format_name(), item[2]);
    Record record;
    ASSERT_TRUE(reader.next(record));
    EXPECT_EQ(record.source + record.target, "ab");
    EXPECT_FALSE(reader.next(record));
    EXPECT_FALSE(reader.next(record));
  }
  EXPECT_THAT(error_of("x.txt", line), HasSubstr(".json, .csv, .tsv, .parquet, .arrow or .feather"));
}

}  // namespace
}  // namespace txtsum::data
