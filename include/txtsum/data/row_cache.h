#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace txtsum::data {

/// What a file of rows holds: of each example so many rows of so many bytes.
struct RowCacheShape {
  std::string key;                  ///< 32 hexadecimal digits: of everything that decides the rows.
  std::vector<int64_t> row_counts;  ///< One an example.
  int64_t row_bytes = 0;
  std::string setting = "data.cache";  ///< What messages call the folder.

  int64_t rows() const;
  /// Of the file.
  int64_t bytes() const;
};

/// Rows of bytes of every example of a split, in a memory-mapped file that any number of ranks and runs fill and read
/// at the same time. Examples are made in groups that are a function of the shape alone; while a process makes a group
/// it holds a lock on it, which the system takes back when the process dies, so that each is made once. An example
/// counts from the moment its checksum is there, which is written behind its rows.
class RowCache {
 public:
  /// Opens the file in `folder`, or makes it, with its whole size reserved on the disk; one that is not of this shape
  /// is made anew. Throws EnvironmentError where the disk lacks room, DataError where the folder cannot be written.
  RowCache(const std::string& folder, RowCacheShape shape);
  ~RowCache();
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  /// Consecutive examples: [begin, end).
  struct Group {
    int64_t begin = 0, end = 0;
  };
  /// The rows of a group's examples, one after the other.
  using Make = std::function<std::string(const Group& group)>;
  /// What one call of fill() did.
  struct Filled {
    std::vector<Group> made;  ///< By this call; the rest was there or came from others.
    bool complete = false;    ///< All examples are there.
  };
  /// Makes what is missing, until all is there, made by whoever; or until `stop` says so, which is asked between
  /// groups. `start` in [0, 1) says where among the groups to begin, so that ranks begin at different ones.
  Filled fill(const Make& make, double start, const std::function<bool()>& stop);

  /// The rows of an example. Throws DataError where they are missing or do not have their checksum.
  std::span<const std::byte> rows(int64_t example) const;

  const std::string& path() const { return path_; }
  const RowCacheShape& shape() const { return shape_; }
  const std::vector<Group>& groups() const { return groups_; }

 private:
  class File;

  bool is_whole(const Group& group) const;
  bool has_checksum(int64_t example) const;
  void store(const Group& group, const std::string& rows);
  /// Claims, makes and stores one group; false where another has it.
  bool try_to_make(const Group& group, const Make& make, Filled& filled);
  std::span<const std::byte> bytes_of(int64_t example) const;

  RowCacheShape shape_;
  std::string path_;
  std::vector<int64_t> offsets_;  // in rows, one an example and the end
  std::vector<Group> groups_;
  std::unique_ptr<File> file_;
};

/// Where the rows of `key` lie in `folder`.
std::string row_cache_path(const std::string& folder, const std::string& key);

}  // namespace txtsum::data
