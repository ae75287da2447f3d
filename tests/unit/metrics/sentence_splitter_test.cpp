#include "txtsum/metrics/sentence_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace txtsum::metrics {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SentenceSplitter, SplitsAtMarks) {
  EXPECT_THAT(split_sentences("One. Two! Three?! Four"), ElementsAre("One.", "Two!", "Three?!", "Four"));
  EXPECT_THAT(split_sentences("i am home. see you? yes! ok"), ElementsAre("i am home.", "see you?", "yes!", "ok"));
  EXPECT_THAT(split_sentences("spaced . Out . End"), ElementsAre("spaced .", "Out .", "End"));
}

TEST(SentenceSplitter, DropsOnlyWhiteSpace) {
  EXPECT_THAT(split_sentences(""), IsEmpty());
  EXPECT_THAT(split_sentences(" \n\t "), IsEmpty());
  EXPECT_THAT(split_sentences("  One.\n\n Two. "), ElementsAre("One.", "Two."));
  EXPECT_THAT(split_sentences("..."), ElementsAre("..."));
}

TEST(SentenceSplitter, Rule1KeepsQuotedSpeechWithItsVerb) {
  EXPECT_THAT(split_sentences("\"Why?\" he asked. \"Go.\" She went."),
              ElementsAre("\"Why?\" he asked.", "\"Go.\"", "She went."));
  EXPECT_THAT(split_sentences("(It works.) \u201CReally!\u201D he said."),
              ElementsAre("(It works.)", "\u201CReally!\u201D he said."));
}

TEST(SentenceSplitter, Rule2KeepsAnEllipsisOpenBeforeLowerCase) {
  EXPECT_THAT(split_sentences("Wait... what? Well\u2026 no. Hm... Yes."),
              ElementsAre("Wait... what?", "Well\u2026 no.", "Hm...", "Yes."));
}

TEST(SentenceSplitter, Rule3aKeepsItemsWithTheirNumbers) {
  EXPECT_THAT(split_sentences("1. First. 2. Second."), ElementsAre("1. First.", "2. Second."));
  EXPECT_THAT(split_sentences("a. First thing."), ElementsAre("a. First thing."));
  EXPECT_THAT(split_sentences("It was 1999. Then it rained."), ElementsAre("It was 1999.", "Then it rained."));
}

TEST(SentenceSplitter, Rule3bKeepsTitlesWithNames) {
  EXPECT_THAT(split_sentences("Dr. Smith met Mrs. Jones. Gen. Lee, e.g. The One."),
              ElementsAre("Dr. Smith met Mrs. Jones.", "Gen. Lee, e.g. The One."));
  EXPECT_THAT(split_sentences("He saw (Mr. Hyde). Ok."), ElementsAre("He saw (Mr. Hyde).", "Ok."));
}

TEST(SentenceSplitter, Rule3cKeepsNumbersWithTheirKind) {
  EXPECT_THAT(split_sentences("See No. 5 on p. 12. No. He will not."),
              ElementsAre("See No. 5 on p. 12.", "No.", "He will not."));
}

TEST(SentenceSplitter, Rule3dEndsAtAnAbbreviationOnlyBeforeAnOpener) {
  EXPECT_THAT(split_sentences("J. K. Rowling wrote it. Apple Inc. Chief Tim Cook spoke."),
              ElementsAre("J. K. Rowling wrote it.", "Apple Inc. Chief Tim Cook spoke."));
  EXPECT_THAT(split_sentences("U.S. Army men left at 5 p.m. The base closed. He lives in the U.S. He works."),
              ElementsAre("U.S. Army men left at 5 p.m.", "The base closed.", "He lives in the U.S.", "He works."));
  EXPECT_THAT(split_sentences("It began on Nov. 3 at noon."), ElementsAre("It began on Nov. 3 at noon."));
  EXPECT_THAT(split_sentences("He was ill. John left."), ElementsAre("He was ill.", "John left."));
}

TEST(SentenceSplitter, IgnoresMarksInsideWords) {
  EXPECT_THAT(split_sentences("Pi is 3.14 at example.org. Yes."), ElementsAre("Pi is 3.14 at example.org.", "Yes."));
}

TEST(SentenceSplitter, TakesAnyBytes) {
  std::string bytes;
  for (int i = 255; i >= 0; --i) bytes += {static_cast<char>(i), '.', ' '};
  size_t letters = 0;
  for (const auto sentence : split_sentences(bytes)) letters += sentence.size();
  EXPECT_GT(letters, 490u);
}

}  // namespace
}  // namespace txtsum::metrics
