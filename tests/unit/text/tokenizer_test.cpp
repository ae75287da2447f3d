#include "txtsum/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "txtsum/core/error.h"

namespace txtsum::text {
namespace {

const std::string kMini = TXTSUM_SOURCE_DIR "/configs/models/txtsum-mini";

TEST(Tokenizer, KnowsItsTokens) {
  const auto tokenizer = Tokenizer::load(kMini);
  EXPECT_EQ(tokenizer->vocab_size(), 8192u);
  EXPECT_EQ(tokenizer->added_special_tokens(), 2u);
  const SpecialIds& ids = tokenizer->special_ids();
  EXPECT_EQ(ids.bos, 0);
  EXPECT_EQ(ids.cls, 0);
  EXPECT_EQ(ids.pad, 1);
  EXPECT_EQ(ids.eos, 2);
  EXPECT_EQ(ids.sep, 2);
  EXPECT_EQ(ids.unk, 3);
  EXPECT_EQ(ids.mask, 4);
  EXPECT_TRUE(tokenizer->is_special(4));
  EXPECT_FALSE(tokenizer->is_special(5));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_EQ(tokenizer->token_to_id("ĠItalian"), 8173);
  EXPECT_EQ(tokenizer->id_to_token(8173), "ĠItalian");
  EXPECT_EQ(tokenizer->token_to_id("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer->id_to_token(8192), std::nullopt);
}

TEST(Tokenizer, GivesEachByteOfInvalidUtf8ItsOwnToken) {
  const auto tokenizer = Tokenizer::load(kMini);
  const std::string invalid[] = {"\x80",         "\xFF\xFE",         "\xC0\xAF", "\xE2\x82",
                                 "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF0\x9F"};
  for (const std::string& bytes : invalid) {
    std::string joined;
    for (const int32_t id : tokenizer->encode("ab" + bytes + "1", false)) joined += *tokenizer->id_to_token(id);
    std::string expected = "ab";
    for (const char byte : bytes) {
      // These bytes stand for themselves, or for U+0100 + n, in the byte alphabet; ask the tokenizer itself.
      const auto alone = tokenizer->encode(std::string(1, byte), false);
      ASSERT_EQ(alone.size(), 1u);
      expected += *tokenizer->id_to_token(alone[0]);
    }
    EXPECT_EQ(joined, expected + "1");
  }
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("ab\xE2\x82 c")), "ab\xEF\xBF\xBD c");
  // It joins symbols, and neither letters nor spaces.
  const auto count = [&](const std::string& text) { return tokenizer->encode(text, false).size(); };
  EXPECT_EQ(count(" \xFF"), count(" ") + 1);
}

TEST(Tokenizer, RoundTripsEveryByteOfValidText) {
  const auto tokenizer = Tokenizer::load(kMini);
  const std::string text = "  Ünïcödé\t\n\n — 中文 🙂\x01 end. ";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
}

TEST(Tokenizer, EncodesVeryLongWordsInTimeAlmostLinear) {
  const auto tokenizer = Tokenizer::load(kMini);
  const auto start = std::chrono::steady_clock::now();
  for (const char* unit : {"a", "ab", "the", "=", " ", "\n", "é", "<", "<mask"}) {
    std::string text;
    while (text.size() < 100000) text += unit;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
  // A quadratic algorithm takes minutes.
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 10.0);
}

TEST(Tokenizer, RefusesALimitWithoutRoomForTheSpecialTokens) {
  const auto tokenizer = Tokenizer::load(kMini);
  EXPECT_THROW(tokenizer->encode_truncated("text", 1), core::UserError);
  EXPECT_EQ(tokenizer->encode_truncated("text", 2).ids, (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(tokenizer->encode_truncated("some text", 1, false).ids.size(), 1u);
  EXPECT_EQ(tokenizer->encode_truncated("", 0, false).full_length, 0u);
}

TEST(Tokenizer, GivesTheSameIdsFromSeveralThreadsAndBesideOtherTokenizers) {
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  for (int i = 0; i < 6; ++i) tokenizers.push_back(Tokenizer::load(kMini));
  std::vector<std::string> texts;
  for (int i = 0; i < 500; ++i)
    texts.push_back("word" + std::to_string(i * 7919) + " the package's Description: x" + std::to_string(i));
  std::vector<std::vector<int32_t>> expected;
  for (const std::string& text : texts) expected.push_back(tokenizers[0]->encode(text));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      for (size_t i = 0; i < 2000; ++i) {
        const size_t which = (i * 7 + static_cast<size_t>(worker)) % texts.size();
        if (tokenizers[i % tokenizers.size()]->encode(texts[which]) != expected[which]) ++wrong[worker];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

}  // namespace
}  // namespace txtsum::text
