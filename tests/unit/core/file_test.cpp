#include "txtsum/core/file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file_hash.h"
#include "txtsum/core/json.h"

namespace txtsum::core {
namespace {

TEST(WriteFile, ReplacesTheContentAndLeavesNoTemporary) {
  tests::TemporaryFolder folder;
  const std::string path = folder.path("sub/a.txt");
  write_file(path, "one");
  write_file(path, std::string("two\0x", 5));
  EXPECT_EQ(read_file(path), std::string("two\0x", 5));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("sub")), {}), 1);
}

TEST(ReadFile, NamesTheMissingFile) {
  try {
    read_file("/no/such/file");
    FAIL() << "nothing was thrown";
  } catch (const DataError& error) {
    EXPECT_EQ(error.exit_code(), 3);
    EXPECT_NE(std::string(error.what()).find("/no/such/file"), std::string::npos);
  }
}

TEST(MappedFile, ShowsTheBytesAndTakesAnEmptyFile) {
  tests::TemporaryFolder folder;
  write_file(folder.path("a"), "abc");
  write_file(folder.path("b"), "");
  EXPECT_EQ(MappedFile(folder.path("a")).text(), "abc");
  EXPECT_EQ(MappedFile(folder.path("b")).size(), 0u);
}

// Reference: `printf '' | xxhsum -H128` and `printf abc | xxhsum -H128` of xxhash 0.8.
TEST(ContentHash, EqualsXxh128) {
  EXPECT_EQ(content_hash(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(content_hash("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(FileHash, IsThatOfItsContent) {
  const tests::TemporaryFolder folder;
  for (const size_t length : {0, 3, (1 << 20) - 1, 1 << 20, 3'000'000}) {
    std::string content;
    for (size_t i = 0; i < length; ++i) content += static_cast<char>(i * 31 + i / 251);
    write_file(folder.path("x"), content);
    EXPECT_EQ(file_hash(folder.path("x")), content_hash(content)) << length;
  }
  EXPECT_THROW(file_hash(folder.path("none")), DataError);
}

TEST(ReadJsonFile, NamesPathAndOffset) {
  tests::TemporaryFolder folder;
  write_file(folder.path("a.json"), "{\"a\": }");
  try {
    read_json_file(folder.path("a.json"));
    FAIL() << "nothing was thrown";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("byte 7"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace txtsum::core
