#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace txtsum::text {

/// Ids of words seen before: 2 MB, one cache line a word, direct-mapped, a newcomer replaces what it finds. Not
/// thread-safe; each thread has its own.
class WordCache {
 public:
  static constexpr size_t kLongestWord = 24;
  static constexpr size_t kMostIds = 9;

  WordCache() : slots_(kSlots) {}

  /// A word as the cache looks it up.
  struct Key {
    uint64_t words[3];
    uint8_t length;
    size_t slot;
  };
  /// `word` must have 1 to kLongestWord bytes.
  static Key make_key(std::string_view word);

  /// Appends the ids of the word to `ids`; false when they are not here.
  bool find(const Key& key, std::vector<int32_t>* ids) const;
  /// Keeps `ids[begin..]`, unless they are more than kMostIds.
  void insert(const Key& key, const std::vector<int32_t>& ids, size_t begin);

  /// The calling thread's cache for the tokenizer with this number (unique in the process). A thread keeps the caches
  /// of the four tokenizers it used last.
  static WordCache& of_thread(uint64_t tokenizer_number);

 private:
  static constexpr size_t kSlots = size_t{1} << 15;
  struct alignas(64) Slot {
    uint64_t words[3];
    uint8_t length;  // 0: empty.
    uint8_t count;
    int32_t ids[kMostIds];
  };
  std::vector<Slot> slots_;
};

}  // namespace txtsum::text
