#include <gmock/gmock.h>

#include "record_files.h"
#include "txtsum/core/json.h"

namespace txtsum::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Rows = std::vector<std::vector<std::string>>;

const std::string kRow = R"({"text":"a","summary":"b"})";

class JsonDocumentTest : public RecordFiles {
 protected:
  std::string format_of(const std::string& name, const std::string& text) const {
    return RecordReader(write(name, text), {}).format_name();
  }
};

TEST_F(JsonDocumentTest, ReadsWhatPythonWrote) {
  const core::Json wanted = core::read_json_file(kFixtures + "pairs.json");
  const std::vector<std::string> texts = {wanted.dump(), wanted.dump(2), core::Json{{"data", wanted}}.dump(),
                                          core::Json{{"version", "[1]"}, {"rows", wanted}, {"n", {1, 2}}}.dump(1)};
  for (const std::string& text : texts) {
    for (const char* mark : {"", "\xef\xbb\xbf", "\xef\xbb\xbf\r\n "}) {
      const auto records = read_all(write("x.json", mark + text + (*mark ? "\r\n" : "")));
      ASSERT_EQ(records.size(), wanted.size());
      for (size_t i = 0; i < records.size(); ++i) {
        EXPECT_EQ(records[i].id, wanted[i]["id"].get<std::string>());
        EXPECT_EQ(records[i].source, wanted[i]["dialogue"].get<std::string>());
        EXPECT_EQ(records[i].target, wanted[i]["summary"].get<std::string>());
      }
    }
  }
}

TEST_F(JsonDocumentTest, TellsDocumentsFromLines) {
  const auto expect = [&](const std::string& format, const std::string& text, size_t rows) {
    EXPECT_EQ(format_of("x.json", text), format) << text;
    EXPECT_EQ(read_all(folder_.path("x.json")).size(), rows) << text;
  };
  expect("JSON document", "[" + kRow + "]", 1);
  expect("JSON document", "\n[\n" + kRow + "\n,\n" + kRow + "\n]\n", 2);
  expect("JSON document", "{\"train\":[" + kRow + "," + kRow + "],\"empty\":[],\"tags\":[\"{\"]}", 2);
  expect("JSON lines", kRow, 1);
  expect("JSON lines", kRow + "\n" + kRow + "\n", 2);
  expect("JSON lines", R"({"text":"a","summary":"b","tags":["x"]})", 1);
  // Two arrays of objects: which one would be a guess, so it stays the row that it was.
  expect("JSON lines", R"({"text":"a","summary":"b","s":[{"n":1}],"t":[{"n":2}]})", 1);
  // A second object behind the first one: lines.
  expect("JSON lines",
         R"({"text":"a","summary":"b","s":[{"n":1}]})"
         "\n" +
             kRow,
         2);
  // Only the ending .json is looked into.
  EXPECT_EQ(format_of("x.JSON", "[" + kRow + "]"), "JSON document");
  EXPECT_THAT(error_of("x.jsonl", "[" + kRow + "]"), HasSubstr(".json and it is an array of objects"));
}

TEST_F(JsonDocumentTest, IsNotMisledByWhatStringsHold) {
  const std::string row = R"({"text":"]}\",[{\\","summary":"\\\"","deep":{"a":[[{}],"}"]}})";
  const Rows wanted = {{"]}\",[{\\", "\\\""}};
  EXPECT_EQ(pairs_of("x.json", "[" + row + "]"), wanted);
  EXPECT_EQ(pairs_of("x.json", "{\"]\":\"[{\",\"data\":[" + row + "]}"), wanted);
}

TEST_F(JsonDocumentTest, ReadsRowsAcrossPages) {
  std::string text = "[";
  Rows wanted;
  for (size_t length = 4060; length < 4110; ++length) {
    const std::string plain(length, 'a');
    wanted.push_back({plain + "\"", "漢\\"});
    text += (text.size() > 1 ? ",\n" : "") + ("{\"text\":\"" + plain) + "\\\"\",\"summary\":\"漢\\\\\"}";
  }
  EXPECT_EQ(pairs_of("x.json", text + "]"), wanted);
}

TEST_F(JsonDocumentTest, RecordsKnowTheirLines) {
  const auto records = read_all(
      write("x.json", "{\n\"data\": [\n{\n\"text\":\"a\",\n\"summary\":\"b\"\n}, " + kRow + "\n\n," + kRow + "]\n}"));
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].line, 3);
  EXPECT_EQ(records[1].line, 6);
  EXPECT_EQ(records[2].line, 8);
}

TEST_F(JsonDocumentTest, ErrorsNameTheLine) {
  const std::string begin = "[\n" + kRow + ",\n";
  EXPECT_THAT(error_of("x.json", begin + "{\n\"text\":\"a\",\n\"summary\" \"b\"}]"),
              AllOf(HasSubstr("x.json:3: not valid JSON on line 5: syntax error")));
  EXPECT_THAT(error_of("x.json", begin + "{\"text\":\"a\"}]"),
              HasSubstr("x.json:3: no column 'summary'; found 'text'"));
  EXPECT_THAT(error_of("x.json", begin + "{\"text\":null,\"summary\":\"b\"}]"), HasSubstr("x.json:3: column 'text'"));
  EXPECT_THAT(error_of("x.json", begin + "3]"), HasSubstr("x.json:3: wanted a JSON object, found number"));
  EXPECT_THAT(error_of("x.json", begin + "]"), HasSubstr("x.json:3: not valid JSON"));
  EXPECT_THAT(error_of("x.json", begin + kRow + "\n" + kRow + "]"),
              HasSubstr("x.json:4: wanted a comma or ] after a row, found '{'"));
  EXPECT_THAT(error_of("x.json", begin + kRow), HasSubstr("x.json:3: the file ends within the array"));
  EXPECT_THAT(error_of("x.json", begin + "\n{\"text\":\"a"), HasSubstr("x.json:4: the file ends within the row"));
  EXPECT_THAT(error_of("x.json", begin + kRow + "]\n\n]"), HasSubstr("x.json:5: wanted the end of the file"));
  EXPECT_THAT(error_of("x.json", begin + "{\"text\":\"\xff\",\"summary\":\"b\"}]"), HasSubstr("x.json:3"));
  EXPECT_THAT(error_of("x.json", "[]"), HasSubstr("x.json: no row; wanted an object in the array"));
  EXPECT_THAT(error_of("x.json", "[[1]]"), HasSubstr("x.json:1: wanted a JSON object, found array"));
  EXPECT_THAT(error_of("x.json", ""), HasSubstr("no row"));
  EXPECT_THAT(error_of("x.json", "{\n\"text\": [\"a\"],\n\"summary\": [\"b\"]\n}"),
              HasSubstr("exactly one value is an array of objects"));
  EXPECT_THAT(error_of("x.json", "{\n\"a\": [" + kRow + "], \"b\": [" + kRow + "]\n}"), HasSubstr("exactly one value"));
  EXPECT_THAT(error_of("x.json", "{\n\"data\": [" + kRow + "], \"b\": nope\n}"), HasSubstr("x.json:1: not valid JSON"));
  EXPECT_THAT(error_of("x.json", "{\"data\":[" + kRow + "}}"), HasSubstr("x.json:1: wanted a comma or ]"));
}

// Cutting a document anywhere must be an error, never fewer rows.
TEST_F(JsonDocumentTest, NoticesEveryCut) {
  for (const std::string& text :
       {"[" + kRow + ",\n" + kRow + "]", "{\"n\":1,\"data\":[\n" + kRow + "," + kRow + "]}"}) {
    for (size_t length = 0; length < text.size(); ++length) {
      EXPECT_NE(error_of("x.json", text.substr(0, length)), "") << text.substr(0, length);
    }
    EXPECT_EQ(error_of("x.json", text), "");
  }
}

}  // namespace
}  // namespace txtsum::data
