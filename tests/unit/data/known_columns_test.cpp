#include <gmock/gmock.h>

#include "record_files.h"

namespace txtsum::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using KnownColumns = RecordFiles;

TEST_F(KnownColumns, FindsTheNamesOfCommonDataSets) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"dialogue", "summary"},         {"article", "highlights"},
      {"document", "summary"},         {"text", "summary"},
      {"article", "abstract"},         {"description", "abstract"},
      {"report", "summary"},           {"chapter", "summary"},
      {"chapter", "summary_text"},     {"body", "summary"},
      {"documents", "tldr"},           {"text", "headline"},
      {"email_body", "subject_line"},  {"review_body", "review_title"},
      {"extract_text", "summary_text"}};
  for (const auto& [source, target] : pairs) {
    RecordReader reader(write("x.csv", "id," + target + "," + source + "\n7,t,s\n"), {});
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
}

TEST_F(KnownColumns, PrefersTheUsualOnes) {
  for (const char* header : {"headline,summary,text", "body,text,summary", "summary,abstract,text,article"}) {
    EXPECT_EQ(RecordReader(write("x.csv", header), {}).columns().source, "text") << header;
    EXPECT_EQ(RecordReader(write("x.csv", header), {}).columns().target, "summary") << header;
  }
}

TEST_F(KnownColumns, RefusesToGuess) {
  EXPECT_THAT(error_of("x.csv", "text,document,summary\na,b,c\n"),
              AllOf(HasSubstr("x.csv:1: two known pairs"), HasSubstr("document/summary and text/summary")));
  EXPECT_THAT(error_of("x.csv", "chapter,summary,summary_text\n"),
              HasSubstr("chapter/summary and chapter/summary_text"));
  EXPECT_THAT(error_of("x.csv", "content,abstract\na,b\n"),
              AllOf(HasSubstr("x.csv:1: no known columns (dialogue/summary, "), HasSubstr("'content', 'abstract'"),
                    HasSubstr("data.source_column")));
}

TEST_F(KnownColumns, FindsSourcesAlone) {
  ColumnRequest request;
  request.wants_target = false;
  for (const char* name : {"text", "article", "chapter", "documents"}) {
    RecordReader reader(write("x.csv", std::string("title,") + name), request);
    EXPECT_EQ(reader.columns().source, name);
    EXPECT_EQ(reader.columns().target, "");
  }
  EXPECT_EQ(RecordReader(write("x.csv", "description,text"), request).columns().source, "text");
  EXPECT_THAT(error_of("x.csv", "description,body", request),
              HasSubstr("two known pairs of columns, description and body"));
  EXPECT_THAT(error_of("x.csv", "title", request),
              AllOf(HasSubstr("(dialogue, article, document, text, description, report, "),
                    Not(HasSubstr("chapter, chapter"))));
}

}  // namespace
}  // namespace txtsum::data
