#include "txtsum/data/row_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/temporary_folder.h"
#include "txtsum/core/error.h"
#include "txtsum/core/file.h"
#include "txtsum/core/log.h"

namespace txtsum::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t kRowBytes = 6;

/// 60 examples of up to 6,000 rows: several groups, some examples without rows.
RowCacheShape shape() {
  RowCacheShape shape;
  shape.key = "0123456789abcdef0123456789abcdef";
  for (int64_t i = 0; i < 60; ++i) shape.row_counts.push_back(i * 7919 % 6000);
  shape.row_counts[5] = 0;
  shape.row_counts[30] = 40'000;
  shape.row_bytes = kRowBytes;
  return shape;
}

std::string rows_of(int64_t example, const RowCacheShape& of) {
  std::string rows;
  const int64_t bytes = of.row_counts[static_cast<size_t>(example)] * of.row_bytes;
  for (int64_t i = 0; i < bytes; ++i) rows += static_cast<char>(example * 31 + i * i);
  return rows;
}

std::string make(const RowCache::Group& group) {
  std::string rows;
  for (int64_t example = group.begin; example < group.end; ++example) rows += rows_of(example, shape());
  return rows;
}

bool never() { return false; }

void expect_whole(const RowCache& cache) {
  for (int64_t example = 0; example < 60; ++example) {
    const std::span<const std::byte> rows = cache.rows(example);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(rows.data()), rows.size()), rows_of(example, shape()))
        << example;
  }
}

std::string path_in(const tests::TemporaryFolder& folder) { return row_cache_path(folder.path(), shape().key); }

void overwrite(const std::string& path, int64_t place, const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(place);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// The byte of the header that says that all is there.
constexpr int64_t kCompletePlace = 72, kChecksumsPlace = 80;

TEST(RowCache, GroupsAreConsecutiveAndOfAtMost4096RowsButForOneLongExample) {
  const tests::TemporaryFolder folder;
  const RowCache cache(folder.path(), shape());
  int64_t next = 0;
  for (const RowCache::Group& group : cache.groups()) {
    EXPECT_EQ(group.begin, next);
    int64_t rows = 0;
    for (int64_t i = group.begin; i < group.end; ++i) rows += shape().row_counts[static_cast<size_t>(i)];
    EXPECT_TRUE(rows <= 4096 || group.end == group.begin + 1) << rows;
    next = group.end;
  }
  EXPECT_EQ(next, 60);
  EXPECT_GT(cache.groups().size(), 8u);
}

TEST(RowCache, IsFilledOnceAndFoundByTheNext) {
  const tests::TemporaryFolder folder;
  {
    RowCache cache(folder.path(), shape());
    EXPECT_THAT([&] { cache.rows(3); }, ThrowsMessage<core::DataError>(HasSubstr("example 3")));
    const RowCache::Filled filled = cache.fill(make, 0.0, never);
    EXPECT_TRUE(filled.complete);
    EXPECT_EQ(filled.made.size(), cache.groups().size());
    expect_whole(cache);
  }
  RowCache again(folder.path(), shape());
  const RowCache::Filled filled = again.fill(make, 0.0, never);
  EXPECT_TRUE(filled.complete);
  EXPECT_TRUE(filled.made.empty());
  expect_whole(again);
  EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(path_in(folder))), shape().bytes());
}

TEST(RowCache, StopsBetweenGroupsAndGoesOnWhereItWas) {
  const tests::TemporaryFolder folder;
  int made = 0;
  {
    RowCache cache(folder.path(), shape());
    const auto counted = [&](const RowCache::Group& group) { return ++made, make(group); };
    const RowCache::Filled filled = cache.fill(counted, 0.0, [&] { return made == 3; });
    EXPECT_FALSE(filled.complete);
    EXPECT_EQ(filled.made.size(), 3u);
  }
  RowCache again(folder.path(), shape());
  EXPECT_EQ(again.fill(make, 0.0, never).made.size(), again.groups().size() - 3);
  expect_whole(again);
}

TEST(RowCache, RanksShareTheWorkAndNoGroupIsMadeTwice) {
  const tests::TemporaryFolder folder;
  std::atomic<int64_t> made{0};
  size_t groups = 0;
  std::vector<std::thread> ranks;
  std::vector<size_t> by_rank(3);
  for (size_t rank = 0; rank < 3; ++rank) {
    ranks.emplace_back([&, rank] {
      RowCache cache(folder.path(), shape());
      const auto slow = [&](const RowCache::Group& group) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ++made;
        return make(group);
      };
      const RowCache::Filled filled = cache.fill(slow, static_cast<double>(rank) / 3.0, never);
      EXPECT_TRUE(filled.complete);
      expect_whole(cache);
      by_rank[rank] = filled.made.size();
      if (rank == 0) groups = cache.groups().size();
    });
  }
  for (std::thread& rank : ranks) rank.join();
  EXPECT_EQ(made, static_cast<int64_t>(groups));
  for (const size_t count : by_rank) EXPECT_GT(count, 0u);
}

TEST(RowCache, WhatAKilledProcessHadClaimedIsMadeByAnother) {
  const tests::TemporaryFolder folder;
  RowCache cache(folder.path(), shape());
  const pid_t child = ::fork();
  if (child == 0) {
    RowCache own(folder.path(), shape());
    // Dies in the middle of the third group.
    int made = 0;
    own.fill([&](const RowCache::Group& group) { return ++made == 3 ? (::_exit(0), "") : make(group); }, 0.0, never);
    ::_exit(1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(cache.fill(make, 0.0, never).made.size(), cache.groups().size() - 2);
  expect_whole(cache);
}

// A power failure may keep checksums and lose rows.
TEST(RowCache, ATornFileIsFoundAndMended) {
  const tests::TemporaryFolder folder;
  std::string good;
  {
    RowCache cache(folder.path(), shape());
    cache.fill(make, 0.0, never);
    good = core::read_file(path_in(folder));
  }
  const int64_t rows_place = static_cast<int64_t>(good.size()) - shape().rows() * kRowBytes;
  for (const int64_t place : {rows_place + 100, rows_place + 123'456, static_cast<int64_t>(good.size()) - 1}) {
    overwrite(path_in(folder), kCompletePlace, std::string(1, '\0'));
    overwrite(path_in(folder), place, std::string(1, static_cast<char>(~good[static_cast<size_t>(place)])));
    RowCache cache(folder.path(), shape());
    EXPECT_EQ(cache.fill(make, 0.0, never).made.size(), 1u);
    expect_whole(cache);
    EXPECT_EQ(core::read_file(path_in(folder)), good);
  }
}

TEST(RowCache, ADamagedExampleOfAWholeFileIsRefusedWithTheWayOut) {
  const tests::TemporaryFolder folder;
  RowCache(folder.path(), shape()).fill(make, 0.0, never);
  overwrite(path_in(folder), kChecksumsPlace + 8 * 7, "damage");
  RowCache cache(folder.path(), shape());
  EXPECT_TRUE(cache.fill(make, 0.0, never).made.empty());
  EXPECT_NO_THROW(cache.rows(6));
  EXPECT_THAT([&] { cache.rows(7); }, ThrowsMessage<core::DataError>(HasSubstr("delete the file")));
}

TEST(RowCache, AFileOfAnotherShapeIsMadeAgain) {
  core::start_log(core::LogLevel::kError);
  const tests::TemporaryFolder folder;
  RowCache(folder.path(), shape()).fill(make, 0.0, never);
  std::filesystem::resize_file(path_in(folder), 1000);
  RowCache cut(folder.path(), shape());
  EXPECT_EQ(cut.fill(make, 0.0, never).made.size(), cut.groups().size());
  expect_whole(cut);
  overwrite(path_in(folder), 8, std::string(1, 'v'));
  RowCache other_version(folder.path(), shape());
  EXPECT_EQ(other_version.fill(make, 0.0, never).made.size(), cut.groups().size());
  core::start_log(core::LogLevel::kInfo);
}

TEST(RowCache, ADiskWithoutRoomIsSaidBeforeAnythingIsMade) {
  const tests::TemporaryFolder folder;
  RowCacheShape huge = shape();
  huge.row_bytes = int64_t{1} << 40;
  EXPECT_THAT([&] { RowCache(folder.path(), huge); },
              ThrowsMessage<core::EnvironmentError>(HasSubstr("set data.cache to a folder on another disk")));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(RowCache, AFolderThatCannotBeWrittenIsNamed) {
  const tests::TemporaryFolder folder;
  std::ofstream(folder.path("file")) << "x";
  EXPECT_THAT([&] { RowCache(folder.path("file"), shape()); }, ThrowsMessage<core::DataError>(HasSubstr("data.cache")));
}

}  // namespace
}  // namespace txtsum::data
