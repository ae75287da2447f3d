#include "txtsum/text/bpe_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"

namespace txtsum::text {
namespace {

NextText texts_of(std::vector<std::string> texts) {
  return [texts = std::move(texts), next = size_t{0}](std::string* text) mutable {
    if (next == texts.size()) return false;
    *text = texts[next++];
    return true;
  };
}

std::unique_ptr<Tokenizer> train(const std::vector<std::string>& texts, size_t vocab_size, uint64_t min_frequency = 2) {
  BpeTrainerOptions options;
  options.vocab_size = vocab_size;
  options.min_frequency = min_frequency;
  return train_bpe(texts_of(texts), options);
}

std::vector<std::string> merged_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens;
  for (size_t id = 5 + 256; id < tokenizer.vocab_size(); ++id) {
    tokens.push_back(*tokenizer.id_to_token(static_cast<int32_t>(id)));
  }
  return tokens;
}

TEST(BpeTrainer, MergesTheMostFrequentPairsAndOfEqualsTheLowestIds) {
  // "low" 5, "lower" 2, "newest" 6, "widest" 3: the example of Sennrich et al. (2016), with byte ids deciding ties.
  std::vector<std::string> texts;
  for (const auto& [word, count] :
       {std::pair<const char*, int>{"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}}) {
    for (int i = 0; i < count; ++i) texts.push_back(word);
  }
  const auto tokenizer = train(texts, 261 + 6);
  EXPECT_THAT(merged_tokens(*tokenizer), testing::ElementsAre("es", "est", "lo", "low", "ew", "new"));
}

TEST(BpeTrainer, StopsAtTheLeastFrequency) {
  const auto tokenizer = train({"abab abab", "xy"}, 1000, 2);
  EXPECT_THAT(merged_tokens(*tokenizer), testing::ElementsAre("ab", "abab"));
}

TEST(BpeTrainer, CountsOverlappingPairsOfRepeatedBytes) {
  const auto tokenizer = train({"aaaaa", "aaaa"}, 261 + 2, 1);
  EXPECT_THAT(merged_tokens(*tokenizer), testing::ElementsAre("aa", "aaaa"));
}

TEST(BpeTrainer, GivesTheSameFilesForTheSameTexts) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back("the package number " + std::to_string(i * 37 % 101) + " isn't tested");
  tests::TemporaryFolder folder;
  train(texts, 400)->save(folder.path("a"));
  std::reverse(texts.begin(), texts.end());
  train(texts, 400)->save(folder.path("b"));
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"}) {
    EXPECT_EQ(core::read_file(folder.path("a/") + name), core::read_file(folder.path("b/") + name)) << name;
  }
}

TEST(BpeTrainer, MakesATokenizerThatReloadsAsItself) {
  tests::TemporaryFolder folder;
  const auto tokenizer = train({"some text and some more text", "and more text\n"}, 300);
  tokenizer->save(folder.path());
  const auto loaded = Tokenizer::load(folder.path());
  const std::string text = "some <mask> text é中\n";
  EXPECT_EQ(loaded->encode(text), tokenizer->encode(text));
  EXPECT_EQ(loaded->fingerprint(), tokenizer->fingerprint());
  EXPECT_EQ(loaded->special_ids().mask, 4);
  EXPECT_EQ(loaded->encode("").size(), 2u);
}

TEST(BpeTrainer, RefusesOptionsThatDoNotFit) {
  EXPECT_THROW(train({"a"}, 260), core::UserError);
  BpeTrainerOptions options;
  options.special_tokens = {"<s>", "</s>"};
  EXPECT_THROW(train_bpe(texts_of({"a"}), options), core::UserError);
}

}  // namespace
}  // namespace txtsum::text
