#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/text/tokenizer.h"

namespace txtsum::text {
namespace {

using testing::HasSubstr;

const std::string kMini = TXTSUM_SOURCE_DIR "/configs/models/txtsum-mini";
const std::string kTiny = TXTSUM_SOURCE_DIR "/tests/fixtures/text/tiny/tokenizer.json";
const std::string kText = "It's the <mask> package's  Descripción:\n 12 files.";

void copy_from_mini(const tests::TemporaryFolder& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) std::filesystem::copy_file(kMini + "/" + name, folder.path(name));
}

std::string load_error(const std::string& folder) {
  try {
    Tokenizer::load(folder);
  } catch (const core::DataError& error) {
    return error.what();
  }
  return "no error";
}

// Loads the tiny tokenizer.json after `change`.
std::string error_after(const std::function<void(core::Json*)>& change) {
  tests::TemporaryFolder folder;
  core::Json json = core::read_json_file(kTiny);
  change(&json);
  core::write_file(folder.path("tokenizer.json"), core::to_line(json));
  return load_error(folder.path());
}

TEST(TokenizerFolder, LoadsVocabAndMergesAsBart) {
  const auto whole = Tokenizer::load(kMini);
  tests::TemporaryFolder folder;
  copy_from_mini(folder, {"vocab.json", "merges.txt"});
  const auto bare = Tokenizer::load(folder.path());
  EXPECT_EQ(bare->encode(kText), whole->encode(kText));
  EXPECT_EQ(bare->decode(bare->encode(kText)), whole->decode(whole->encode(kText)));
  EXPECT_EQ(bare->special_ids().mask, 4);
  EXPECT_EQ(bare->vocab_size(), whole->vocab_size());
}

TEST(TokenizerFolder, SavesWhatWasLoadedByteForByteAndAddsTheRest) {
  tests::TemporaryFolder saved;
  const auto tokenizer = Tokenizer::load(kMini);
  tokenizer->save(saved.path("out"));
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"}) {
    EXPECT_EQ(core::read_file(saved.path("out/") + name), core::read_file(kMini + "/" + name)) << name;
  }
  const core::Json map = core::read_json_file(saved.path("out/special_tokens_map.json"));
  EXPECT_EQ(map["eos_token"], "</s>");
  EXPECT_EQ(map["mask_token"]["lstrip"], true);
  EXPECT_EQ(Tokenizer::load(saved.path("out"))->fingerprint(), tokenizer->fingerprint());
}

TEST(TokenizerFolder, WritesATokenizerJsonThatDefinesTheSame) {
  tests::TemporaryFolder folder;
  copy_from_mini(folder, {"vocab.json", "merges.txt"});
  const auto bare = Tokenizer::load(folder.path());
  bare->save(folder.path("out"));
  std::filesystem::remove(folder.path("out/vocab.json"));
  const auto again = Tokenizer::load(folder.path("out"));
  EXPECT_EQ(again->encode(kText), bare->encode(kText));
  EXPECT_EQ(again->fingerprint(), bare->fingerprint());
  again->save(folder.path("third"));
  EXPECT_EQ(core::read_json_file(folder.path("third/vocab.json")), core::read_json_file(kMini + "/vocab.json"));
  EXPECT_EQ(core::read_file(folder.path("third/merges.txt")), core::read_file(folder.path("out/merges.txt")));
}

TEST(TokenizerFolder, FingerprintFollowsTheDefinition) {
  tests::TemporaryFolder folder;
  copy_from_mini(folder, {"vocab.json", "merges.txt"});
  const std::string before = Tokenizer::load(folder.path())->fingerprint();
  core::write_file(folder.path("tokenizer_config.json"), R"({"add_prefix_space": true})");
  const auto prefixed = Tokenizer::load(folder.path());
  EXPECT_NE(prefixed->fingerprint(), before);
  EXPECT_EQ(prefixed->encode("the"), prefixed->encode(" the"));
}

TEST(TokenizerFolder, AddsTokensThatTheConfigNames) {
  tests::TemporaryFolder folder;
  copy_from_mini(folder, {"tokenizer.json"});
  core::write_file(folder.path("tokenizer_config.json"),
                   R"({"additional_special_tokens": ["<speaker>"], "pad_token": {"content": "<filler>"}})");
  const auto tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer->vocab_size(), 8194u);
  EXPECT_EQ(tokenizer->special_ids().pad, 8192);
  EXPECT_EQ(tokenizer->encode("<speaker>", false), (std::vector<int32_t>{8193}));
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{8193}), "");
}

TEST(TokenizerFolder, CleansSpacesUpOnlyWhereBothKeysSaySo) {
  tests::TemporaryFolder folder;
  copy_from_mini(folder, {"vocab.json", "merges.txt"});
  const std::string text = "it is n't , a ' b ' . I 'm he 's";
  core::write_file(folder.path("tokenizer_config.json"), R"({"clean_up_tokenization_spaces": true})");
  const auto off = Tokenizer::load(folder.path());
  EXPECT_EQ(off->decode(off->encode(text)), text);
  core::write_file(folder.path("tokenizer_config.json"),
                   R"({"clean_up_tokenization_spaces": true,
                       "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": true})");
  const auto on = Tokenizer::load(folder.path());
  EXPECT_EQ(on->decode(on->encode(text)), "it isn't, a'b '. I'm he's");
}

TEST(TokenizerFolder, SaysWhatItLookedFor) {
  tests::TemporaryFolder folder;
  EXPECT_THAT(load_error(folder.path()), HasSubstr("looked for tokenizer.json, for vocab.json with merges.txt, and for "
                                                   "spiece.model or sentencepiece.bpe.model"));
  EXPECT_THAT(load_error(folder.path("none")), HasSubstr("there is no such folder"));
  copy_from_mini(folder, {"vocab.json"});
  EXPECT_THAT(load_error(folder.path()), HasSubstr("merges.txt is missing"));
  core::write_file(folder.path("merges.txt"), "#version: 0.2\na b\nabc\n");
  EXPECT_THAT(load_error(folder.path()), HasSubstr("merges.txt:3: expected two tokens and a space, found 'abc'"));
  core::write_file(folder.path("merges.txt"), "#version: 0.2\n\u0120 \u4e2d\n");
  EXPECT_THAT(load_error(folder.path()), HasSubstr("not in the vocabulary"));
}

TEST(TokenizerFolder, RefusesWhatItDoesNotSupport) {
  EXPECT_EQ(error_after([](core::Json*) {}), "no error");
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["model"]["type"] = "Unigram"; }),
              HasSubstr("tokenizer.json: model.type is \"Unigram\"; supported: BPE"));
  EXPECT_THAT(error_after([](core::Json* json) {
                (*json)["normalizer"] = {{"type", "NFC"}};
              }),
              HasSubstr("normalizer is {\"type\":\"NFC\"}; supported: null"));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["pre_tokenizer"]["type"] = "Metaspace"; }),
              HasSubstr("pre_tokenizer.type is \"Metaspace\"; supported: ByteLevel"));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["model"]["dropout"] = 0.1; }),
              HasSubstr("model.dropout is 0.1"));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["model"]["byte_fallback"] = true; }),
              HasSubstr("model.byte_fallback is true"));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["model"]["novelty"] = 1; }), HasSubstr("model.novelty is 1"));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["decoder"] = nullptr; }), HasSubstr("decoder is null"));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["model"]["merges"][1] = "a b c"; }),
              HasSubstr("model.merges[1] is \"a b c\""));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["added_tokens"][3]["id"] = 9999; }),
              HasSubstr("added_tokens[3].id is 9999; supported: "));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["post_processor"]["processors"][1]["type"] = "Bert"; }),
              HasSubstr("post_processor.processors[1].type is \"Bert\""));
  EXPECT_THAT(error_after([](core::Json* json) { (*json)["model"]["vocab"]["a"] = 1; }),
              HasSubstr("have the same id 1"));
  EXPECT_EQ(error_after([](core::Json* json) { (*json)["truncation"] = {{"max_length", 5}}; }), "no error");
}

TEST(TokenizerFolder, RefusesAConfigThatContradictsTheTokenizer) {
  tests::TemporaryFolder folder;
  copy_from_mini(folder, {"tokenizer.json"});
  const auto error_with = [&](const std::string& config) {
    core::write_file(folder.path("tokenizer_config.json"), config);
    return load_error(folder.path());
  };
  EXPECT_THAT(error_with(R"({"do_lower_case": true})"), HasSubstr("do_lower_case is true; supported: false"));
  EXPECT_THAT(error_with(R"({"add_eos_token": false})"), "no error");  // No eos_token named: nothing to compare.
  EXPECT_THAT(error_with(R"({"eos_token": "</s>", "add_eos_token": false})"), HasSubstr("add_eos_token is false"));
  EXPECT_THAT(error_with(R"({"added_tokens_decoder": {"7": {"content": "<mask>"}}})"),
              HasSubstr("gives '<mask>' the id 7, the vocabulary gives it 4"));
  EXPECT_THAT(error_with(R"({"errors": "strict"})"), HasSubstr("errors is \"strict\""));
  EXPECT_THAT(error_with("{"), HasSubstr("not valid JSON at byte"));
}

}  // namespace
}  // namespace txtsum::text
