// Ids and texts against those that Hugging Face `tokenizers` gave (scripts/reference/make_text_fixtures.py).

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>

#include "support/temporary_folder.h"
#include "txtsum/core/file.h"
#include "txtsum/core/json.h"
#include "txtsum/text/tokenizer.h"

namespace txtsum::text {
namespace {

const std::string kFixtures = TXTSUM_SOURCE_DIR "/tests/fixtures/text";
const std::string kMini = TXTSUM_SOURCE_DIR "/configs/models/txtsum-mini";

uint32_t checksum(const std::vector<int32_t>& ids) {
  return static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(ids.data()), static_cast<uInt>(ids.size() * 4)));
}

std::vector<uint32_t> read_checksums(const std::string& name) {
  const std::string bytes = core::read_file(kFixtures + "/" + name);
  std::vector<uint32_t> result(bytes.size() / 4);
  std::memcpy(result.data(), bytes.data(), result.size() * 4);
  return result;
}

std::vector<std::string> read_compressed_lines(const std::string& name) {
  const std::string packed = core::read_file(kFixtures + "/" + name);
  std::string text(16 << 20, '\0');
  uLongf size = text.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(text.data()), &size, reinterpret_cast<const Bytef*>(packed.data()),
                       packed.size()),
            Z_OK);
  text.resize(size);
  std::vector<std::string> lines;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

std::string utf8(uint32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

// "a%s1%s!%s %s  %s%s\n%s'%ss", as the script builds it.
std::string code_point_text(const std::string& c) {
  std::string text;
  for (const char* part : {"a", "1", "!", " ", "  ", "", "\n", "'"}) text.append(part).append(c);
  return text + "s";
}

void expect_cases(const Tokenizer& tokenizer, const std::string& name) {
  const core::Json cases = core::read_json_file(kFixtures + "/" + name);
  ASSERT_GT(cases.size(), 20u);
  for (const core::Json& item : cases) {
    const std::string text = item["text"].get<std::string>();
    const auto ids = item["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text), ids) << item["text"];
    EXPECT_EQ(tokenizer.encode(text, false), item["plain_ids"].get<std::vector<int32_t>>()) << item["text"];
    EXPECT_EQ(tokenizer.decode(ids), item["decoded"].get<std::string>()) << item["text"];
    EXPECT_EQ(tokenizer.decode(ids, false), item["decoded_all"].get<std::string>()) << item["text"];
  }
}

TEST(TokenizerIds, OfRealLinesEqualTheReference) {
  const auto tokenizer = Tokenizer::load(kMini);
  const auto lines = read_compressed_lines("real_lines.txt.z");
  const auto checksums = read_checksums("real_lines_ids.crc32");
  ASSERT_GE(lines.size(), 20000u);
  ASSERT_EQ(lines.size(), checksums.size());
  size_t wrong = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (checksum(tokenizer->encode(lines[i])) == checksums[i]) continue;
    if (++wrong <= 10) ADD_FAILURE() << "line " << i + 1 << ": " << lines[i];
  }
  EXPECT_EQ(wrong, 0u);
}

TEST(TokenizerIds, OfEveryCodePointEqualTheReference) {
  const auto tokenizer = Tokenizer::load(kMini);
  const auto checksums = read_checksums("code_point_blocks_ids.crc32");
  ASSERT_EQ(checksums.size(), 0x1100u);
  for (uint32_t block = 0; block < checksums.size(); ++block) {
    std::vector<int32_t> ids;
    for (uint32_t c = block * 256; c < block * 256 + 256; ++c) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      const auto of_text = tokenizer->encode(code_point_text(utf8(c)));
      ids.insert(ids.end(), of_text.begin(), of_text.end());
    }
    EXPECT_EQ(checksum(ids), checksums[block]) << "code points from 0x" << std::hex << block * 256;
  }
}

TEST(TokenizerIds, OfNastyTextsEqualTheReference) { expect_cases(*Tokenizer::load(kMini), "nasty.json"); }

TEST(TokenizerIds, WithEveryAddedTokenFlagTemplateAndUnknownBytesEqualTheReference) {
  const auto tokenizer = Tokenizer::load(kFixtures + "/tiny");
  expect_cases(*tokenizer, "tiny.json");
}

TEST(TokenizerIds, TruncateAsTheReference) {
  tests::TemporaryFolder left;
  for (const char* name : {"vocab.json", "merges.txt"}) {
    std::filesystem::copy_file(kMini + "/" + name, left.path(name));
  }
  core::write_file(left.path("tokenizer_config.json"), R"({"truncation_side": "left"})");
  const auto from_right = Tokenizer::load(kMini);
  const auto from_left = Tokenizer::load(left.path());
  for (const core::Json& item : core::read_json_file(kFixtures + "/truncation.json")) {
    const Tokenizer& tokenizer = item["side"] == "left" ? *from_left : *from_right;
    const std::string text = item["text"].get<std::string>();
    const TruncatedIds result = tokenizer.encode_truncated(text, item["limit"].get<size_t>());
    EXPECT_EQ(result.ids, item["ids"].get<std::vector<int32_t>>()) << item["limit"] << item["side"];
    EXPECT_EQ(result.full_length, tokenizer.encode(text).size());
  }
}

TEST(TokenizerIds, OfIllFormedBytesDecodeAsTheReference) {
  const auto tokenizer = Tokenizer::load(kMini);
  for (const core::Json& item : core::read_json_file(kFixtures + "/invalid_decodes.json")) {
    EXPECT_EQ(tokenizer->decode(item["ids"].get<std::vector<int32_t>>()), item["decoded"].get<std::string>())
        << item["ids"];
  }
}

}  // namespace
}  // namespace txtsum::text
