#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "txtsum/core/error.h"
#include "txtsum/core/json.h"
#include "txtsum/text/tokenizer.h"
#include "unigram_folder.h"

namespace txtsum::text {
namespace {

using testing::HasSubstr;
using tests::TemporaryFolder;
using tests::unigram_model;
using tests::write_unigram_folder;

std::unique_ptr<Tokenizer> load(const std::string& family, const std::string& config = "") {
  const TemporaryFolder folder;
  write_unigram_folder(folder, family, config);
  return Tokenizer::load(folder.path());
}

std::string load_error(const std::string& folder) {
  try {
    Tokenizer::load(folder);
  } catch (const core::DataError& error) {
    return error.what();
  }
  return "no error";
}

std::string error_of(const std::string& family, const std::string& config) {
  const TemporaryFolder folder;
  write_unigram_folder(folder, family, config);
  return load_error(folder.path());
}

std::string error_of_model(const std::string& bytes) {
  const TemporaryFolder folder;
  write_unigram_folder(folder, "t5");
  core::write_file(folder.path("spiece.model"), bytes);
  return load_error(folder.path());
}

void expect_cases(const std::string& family) {
  const auto tokenizer = load(family);
  const auto cases =
      core::Json::parse(tests::read_compressed(tests::kUnigramFixtures + "/" + family + "/cases.json.z"));
  ASSERT_GT(cases.size(), 150u);
  for (const core::Json& item : cases) {
    const std::string text = item["text"].get<std::string>();
    const auto ids = item["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer->encode(text), ids) << item["text"];
    EXPECT_EQ(tokenizer->encode(text, false), item["plain_ids"].get<std::vector<int32_t>>()) << item["text"];
    const TruncatedIds cut = tokenizer->encode_truncated(text, 6);
    EXPECT_EQ(cut.ids, item["cut_ids"].get<std::vector<int32_t>>()) << item["text"];
    EXPECT_EQ(cut.full_length, ids.size()) << item["text"];
    EXPECT_EQ(tokenizer->decode(ids), item["decoded"].get<std::string>()) << item["text"];
    EXPECT_EQ(tokenizer->decode(ids, false), item["decoded_all"].get<std::string>()) << item["text"];
  }
}

TEST(UnigramTokenizer, OfT5EqualsTheReference) { expect_cases("t5"); }
TEST(UnigramTokenizer, OfPegasusEqualsTheReference) { expect_cases("pegasus"); }
TEST(UnigramTokenizer, OfBigBirdPegasusEqualsTheReference) { expect_cases("bigbird"); }

TEST(UnigramTokenizer, OfMbart50EqualsTheReference) { expect_cases("mbart50"); }

TEST(UnigramTokenizer, OfMbart50BeginsWithItsLanguage) {
  const std::string config = R"({"tokenizer_class": "MBart50Tokenizer", "src_lang": )";
  const auto german = load("mbart50", config + R"("de_DE", "tgt_lang": null})");
  EXPECT_EQ(german->encode("ja").front(), german->token_to_id("de_DE"));
  EXPECT_EQ(german->added_special_tokens(), 2u);
  EXPECT_TRUE(german->is_special(*german->token_to_id("sl_SI")));
  EXPECT_THAT(error_of("mbart50", config + R"("de"})"), HasSubstr("src_lang is de, which is none of mBART-50's"));
  EXPECT_THAT(error_of("mbart50", config + R"("de_DE", "tgt_lang": "fr_XX"})"),
              HasSubstr("src_lang is de_DE and tgt_lang is fr_XX; a summary is in the language of its document"));
  EXPECT_THAT(error_of("mbart50", R"({"tokenizer_class": "MBartTokenizer"})"),
              HasSubstr("supported: T5Tokenizer, PegasusTokenizer and MBart50Tokenizer"));
}

TEST(UnigramTokenizer, KnowsTheTokensOfT5) {
  const auto tokenizer = load("t5");
  EXPECT_EQ(tokenizer->vocab_size(), 700u);
  EXPECT_EQ(tokenizer->added_special_tokens(), 1u);
  EXPECT_EQ(tokenizer->special_ids().pad, 0);
  EXPECT_EQ(tokenizer->special_ids().eos, 1);
  EXPECT_EQ(tokenizer->special_ids().unk, 2);
  EXPECT_EQ(tokenizer->special_ids().bos, std::nullopt);
  EXPECT_EQ(tokenizer->token_to_id("<extra_id_0>"), 699);
  EXPECT_EQ(tokenizer->id_to_token(600), "<extra_id_99>");
  EXPECT_TRUE(tokenizer->is_special(699));
  EXPECT_FALSE(tokenizer->is_special(3));
  EXPECT_EQ(load("t5", R"({"tokenizer_class": "T5TokenizerFast", "extra_ids": 0})")->vocab_size(), 600u);
}

TEST(UnigramTokenizer, KnowsTheTokensOfPegasus) {
  const auto tokenizer = load("pegasus", R"({"tokenizer_class": "PegasusTokenizer"})");
  EXPECT_EQ(tokenizer->vocab_size(), 603u);
  EXPECT_EQ(tokenizer->special_ids().pad, 0);
  EXPECT_EQ(tokenizer->special_ids().eos, 1);
  EXPECT_EQ(tokenizer->special_ids().unk, 105);
  EXPECT_EQ(tokenizer->token_to_id("<mask_1>"), 2);
  EXPECT_EQ(tokenizer->special_ids().mask, 3);
  EXPECT_EQ(tokenizer->token_to_id("<unk_2>"), 4);
  EXPECT_EQ(tokenizer->token_to_id("<unk_102>"), 104);
  // As transformers 5, which puts mask tokens that the config names in this order.
  EXPECT_EQ(load("pegasus")->special_ids().mask, 2);
}

TEST(UnigramTokenizer, KeepsTheIdsOfTheWeightsWhereMaskTokensWouldShiftThem) {
  const auto tokenizer = load("pegasus", R"({"tokenizer_class": "PegasusTokenizer", "mask_token": "<mask_2>"})");
  EXPECT_EQ(tokenizer->special_ids().unk, 105);
  EXPECT_EQ(tokenizer->special_ids().mask, 3);
  EXPECT_THAT(error_of("pegasus", R"({"tokenizer_class": "PegasusTokenizer", "mask_token_sent": null})"),
              HasSubstr("mask_token and mask_token_sent must be two tokens where offset is 103"));
}

TEST(UnigramTokenizer, LeavesPegasusLineBreaksAlone) {
  const auto tokenizer = load("pegasus");
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a.<n>b")).find('\n'), std::string::npos);
}

TEST(UnigramTokenizer, ReadsInvalidUtf8AsReplacementCharacters) {
  const auto tokenizer = load("t5");
  for (const std::string bytes : {"\x80", "\xFF", "\xC0", "\xE2\x82", "\xF0\x9F", "\xED"}) {
    EXPECT_EQ(tokenizer->encode("ab" + bytes + "c"), tokenizer->encode("ab\xEF\xBF\xBD"
                                                                       "c"));
  }
}

TEST(UnigramTokenizer, EncodesVeryLongWords) {
  const auto tokenizer = load("t5");
  for (const char* unit : {"a", "-", "the", "\u4e2d", "\u0301", "<"}) {
    std::string text;
    while (text.size() < 100000) text += unit;
    EXPECT_GT(tokenizer->encode(text).size(), 1u);
  }
}

TEST(UnigramTokenizer, GivesTheSameIdsFromSeveralThreads) {
  const auto tokenizer = load("pegasus");
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back("some word" + std::to_string(i * 7919) + " of a package's Description");
  std::vector<std::vector<int32_t>> expected;
  for (const std::string& text : texts) expected.push_back(tokenizer->encode(text));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      for (size_t i = 0; i < texts.size(); ++i) wrong[worker] += tokenizer->encode(texts[i]) != expected[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

TEST(UnigramTokenizer, SavesTheFilesThatItWasLoadedFrom) {
  const TemporaryFolder folder;
  write_unigram_folder(folder, "pegasus");
  core::write_file(folder.path("special_tokens_map.json"), R"({"eos_token": "</s>"})");
  const auto tokenizer = Tokenizer::load(folder.path());
  tokenizer->save(folder.path("out"));
  for (const char* name : {"spiece.model", "tokenizer_config.json", "special_tokens_map.json"}) {
    EXPECT_EQ(core::read_file(folder.path("out/") + name), core::read_file(folder.path(name))) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path("out/tokenizer.json")));
  EXPECT_EQ(Tokenizer::load(folder.path("out"))->fingerprint(), tokenizer->fingerprint());
}

/// Folders that transformers saved again have the same tokenizer in its own words beside spiece.model.
TEST(UnigramTokenizer, TakesATokenizerJsonThatSaysTheSameAndRefusesAnother) {
  const TemporaryFolder folder;
  write_unigram_folder(folder, "pegasus");
  const auto alone = Tokenizer::load(folder.path());
  core::Json vocabulary = core::Json::array();
  for (size_t id = 0; id < alone->vocab_size(); ++id) {
    vocabulary.push_back({*alone->id_to_token(static_cast<int32_t>(id)), -1.0});
  }
  core::Json json{{"model", {{"type", "Unigram"}, {"vocab", vocabulary}}}, {"added_tokens", core::Json::array()}};
  core::write_file(folder.path("tokenizer.json"), core::to_line(json));
  EXPECT_EQ(Tokenizer::load(folder.path())->encode("A small program."), alone->encode("A small program."));
  std::swap(json["model"]["vocab"][200][0], json["model"]["vocab"][201][0]);
  core::write_file(folder.path("tokenizer.json"), core::to_line(json));
  const std::string error = load_error(folder.path());
  EXPECT_THAT(error, HasSubstr("tokenizer.json: token "));
  EXPECT_THAT(error, HasSubstr("has id 200, and by the SentencePiece model id 201"));
}

TEST(UnigramTokenizer, TakesTheFamilyFromTheModelsConfigAndWritesItDown) {
  const TemporaryFolder folder;
  core::write_file(folder.path("spiece.model"), unigram_model("t5"));
  EXPECT_THAT(load_error(folder.path()),
              HasSubstr("no file names one; supported: T5Tokenizer, PegasusTokenizer and MBart50Tokenizer"));
  core::write_file(folder.path("config.json"), R"({"model_type": "t5"})");
  const auto tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer->encode("some text"), load("t5")->encode("some text"));
  tokenizer->save(folder.path("out"));
  EXPECT_EQ(Tokenizer::load(folder.path("out"))->fingerprint(), tokenizer->fingerprint());
  EXPECT_THAT(error_of("t5", R"({"tokenizer_class": "AlbertTokenizer"})"), HasSubstr("is \"AlbertTokenizer\""));
}

TEST(UnigramTokenizer, FingerprintFollowsTheContent) {
  const std::string base = load("t5", R"({"tokenizer_class": "T5Tokenizer"})")->fingerprint();
  EXPECT_EQ(load("t5", R"({"tokenizer_class": "T5TokenizerFast", "model_max_length": 77})")->fingerprint(), base);
  EXPECT_NE(load("t5", R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 7})")->fingerprint(), base);
  EXPECT_NE(load("pegasus", R"({"tokenizer_class": "T5Tokenizer"})")->fingerprint(), base);
  const TemporaryFolder folder;
  write_unigram_folder(folder, "t5", R"({"tokenizer_class": "T5Tokenizer"})");
  core::write_file(folder.path("spiece.model"), core::read_file(tests::kUnigramFixtures + "/t5/pieces.model"));
  EXPECT_NE(Tokenizer::load(folder.path())->fingerprint(), base) << "without the normalization";
}

TEST(UnigramTokenizer, CleansSpacesUpWhereTheConfigSaysSo) {
  const auto tokenizer = load("t5", R"({"tokenizer_class": "T5Tokenizer", "clean_up_tokenization_spaces": true})");
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("it is n't a .")), "it isn't a.");
  const auto plain = load("t5", R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_EQ(plain->decode(plain->encode("it is n't a .")), "it is n't a .");
}

TEST(UnigramTokenizer, TruncatesAtTheStartWhereTheConfigSaysSo) {
  const auto tokenizer = load("t5", R"({"tokenizer_class": "T5Tokenizer", "truncation_side": "left"})");
  const auto ids = tokenizer->encode("some words of a text");
  const auto cut = tokenizer->encode_truncated("some words of a text", 3).ids;
  EXPECT_EQ(cut, (std::vector<int32_t>(ids.end() - 3, ids.end())));
  EXPECT_THROW(tokenizer->encode_truncated("text", 0), core::UserError);
}

TEST(UnigramTokenizer, NamesTheFileThatIsDamagedAndTheWayOut) {
  const std::string model = unigram_model("t5");
  for (const size_t size : {size_t{1}, size_t{100}, model.size() / 2, model.size() - 1}) {
    const std::string error = error_of_model(model.substr(0, size));
    EXPECT_THAT(error, HasSubstr("spiece.model: no SentencePiece model: ")) << size;
    EXPECT_THAT(error, HasSubstr("copy it again")) << size;
  }
  EXPECT_THAT(error_of_model(""), HasSubstr("no pieces up to the end at byte 0"));
  EXPECT_THAT(error_of_model("version https://git-lfs.github.com/spec/v1\noid sha256:12\n"), HasSubstr("git lfs pull"));
  EXPECT_THAT(error_of_model("{\"version\": 1}"), HasSubstr("no SentencePiece model"));
  // trainer_spec.model_type of 2.
  EXPECT_THAT(error_of_model(model + std::string("\x12\x02\x18\x02")), HasSubstr("BPE model; supported: unigram"));
  // A charsmap that says that its table is longer than it is.
  EXPECT_THAT(error_of_model(model + std::string("\x1A\x07\x12\x05\x40\x00\x00\x00z", 9)),
              HasSubstr("precompiled_charsmap has 5 bytes and says that its table has 64"));
}

TEST(UnigramTokenizer, RefusesWhatDoesNotFit) {
  EXPECT_THAT(error_of("t5", R"({"tokenizer_class": "T5Tokenizer", "extra_ids": -1})"),
              HasSubstr("tokenizer_config.json: extra_ids is -1; supported: a number from 0 to 10000 (100"));
  EXPECT_THAT(error_of("t5", R"({"tokenizer_class": "T5Tokenizer", "extra_ids": "many"})"),
              HasSubstr("extra_ids is \"many\""));
  EXPECT_THAT(error_of("t5", R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 50,
                                 "additional_special_tokens": ["<extra_id_0>", "<extra_id_1>"]})"),
              HasSubstr("extra_ids is 50 and additional_special_tokens names 2 sentinels"));
  EXPECT_THAT(error_of("bigbird", R"({"tokenizer_class": "T5Tokenizer"})"), HasSubstr("this is not T5's vocabulary"));
  EXPECT_THAT(error_of("bigbird", R"({"tokenizer_class": "PegasusTokenizer"})"), HasSubstr("needs offset 0"));
  EXPECT_THAT(error_of("pegasus", R"({"tokenizer_class": "PegasusTokenizer", "unk_token": "[U]"})"),
              HasSubstr("no piece '[U]' with score 0"));
  EXPECT_THAT(error_of("t5", R"({"tokenizer_class": "T5Tokenizer", "eos_token": "[E]"})"),
              HasSubstr("eos_token is [E], which is not in the vocabulary"));
  EXPECT_THAT(error_of("t5", "[]"), HasSubstr("tokenizer_config.json: the file is no JSON object"));
}

}  // namespace
}  // namespace txtsum::text
