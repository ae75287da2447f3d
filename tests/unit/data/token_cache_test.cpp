#include "txtsum/data/token_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "support/temporary_folder.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::data {
namespace {

const std::string kKey = "0123456789abcdef0123456789abcdef";

TokenTable make_table() {
  TokenTableBuilder builder;
  for (int32_t i = 0; i < 5; ++i) {
    builder.add(
        {std::vector<int32_t>(static_cast<size_t>(i), i), {7, i, 9}, i + 2, 4, static_cast<uint64_t>(i) << 40, i + 1});
  }
  return builder.finish({8, 2, 1});
}

template <typename T>
std::vector<T> to_vector(std::span<const T> values) {
  return {values.begin(), values.end()};
}

void expect_equal(const TokenTable& a, const TokenTable& b) {
  EXPECT_EQ(to_vector(a.ids), to_vector(b.ids));
  EXPECT_EQ(to_vector(a.offsets), to_vector(b.offsets));
  EXPECT_EQ(to_vector(a.rows), to_vector(b.rows));
  EXPECT_EQ(to_vector(a.hashes), to_vector(b.hashes));
  EXPECT_EQ(to_vector(a.full_lengths), to_vector(b.full_lengths));
  EXPECT_EQ(a.counts.read, b.counts.read);
  EXPECT_EQ(a.counts.empty_source, b.counts.empty_source);
  EXPECT_EQ(a.counts.empty_target, b.counts.empty_target);
}

TEST(TokenCache, GivesBackWhatWasWritten) {
  const tests::TemporaryFolder folder;
  const TokenTable table = make_table();
  EXPECT_FALSE(open_token_cache(folder.path(), kKey).has_value());
  expect_equal(write_token_cache(folder.path(), kKey, table), table);
  const std::optional<TokenTable> opened = open_token_cache(folder.path(), kKey);
  ASSERT_TRUE(opened.has_value());
  expect_equal(*opened, table);
  EXPECT_FALSE(open_token_cache(folder.path(), std::string(32, 'a')).has_value());
}

TEST(TokenCache, BuildsADamagedCacheAgain) {
  const tests::TemporaryFolder folder;
  core::start_log(core::LogLevel::kError);  // the warnings are hundreds here
  write_token_cache(folder.path(), kKey, make_table());
  const std::string path = token_cache_path(folder.path(), kKey);
  const std::string good = core::read_file(path);
  for (size_t position = 0; position < good.size(); position += 3) {
    std::string damaged = good;
    damaged[position] = static_cast<char>(damaged[position] ^ 0x10);
    core::write_file(path, position % 2 == 0 ? damaged : good.substr(0, position));
    bool was_cached = true;
    expect_equal(open_or_build_token_cache(folder.path(), kKey, make_table, was_cached), make_table());
    EXPECT_FALSE(was_cached) << position;
  }
  core::start_log(core::LogLevel::kInfo);
}

TEST(TokenCache, MayBeBuiltByManyAtOnce) {
  const tests::TemporaryFolder folder;
  std::vector<std::thread> builders;
  for (int i = 0; i < 8; ++i) {
    builders.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        bool was_cached = false;
        expect_equal(open_or_build_token_cache(folder.path(), kKey, make_table, was_cached), make_table());
      }
    });
  }
  for (std::thread& builder : builders) builder.join();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()),
            1);
}

}  // namespace
}  // namespace txtsum::data
