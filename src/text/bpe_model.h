#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer_definition.h"

namespace txtsum::text {

/// Byte-pair encoding of one word: the adjacent pair with the lowest merge rank, the leftmost of equals, is joined
/// until no pair has a merge.
class BpeModel {
 public:
  /// Throws DataError, which starts with `source`, when a merge or the unknown token names a token that is not there.
  BpeModel(const BpeDefinition& definition, const std::string& source);

  /// Appends the ids of `word`, any bytes, to `ids`. Time grows as n log n in its length.
  void encode_word(std::string_view word, std::vector<int32_t>* ids) const;

 private:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };
  struct PairSlot {
    uint64_t key;
    Merge merge;
  };
  /// A part of the word while it is merged; `previous` and `next` are indexes, -1 at the ends.
  struct Symbol {
    int32_t id;
    int32_t previous;
    int32_t next;
  };

  void index_merges(const BpeDefinition& definition, const std::unordered_map<std::string, int32_t>& ids,
                    const std::string& source);
  void insert_merge(uint64_t key, Merge merge);
  Merge find_merge(int32_t left, int32_t right) const;
  void append_symbols(std::string_view word, std::vector<int32_t>* symbols) const;
  static void merge_short(const BpeModel& model, std::vector<int32_t>* symbols, size_t begin);
  static void merge_long(const BpeModel& model, std::vector<int32_t>* symbols, size_t begin);

  std::array<int32_t, 256> byte_ids_;
  /// Open addressing with linear probing; the size is a power of two, at most half full.
  std::vector<PairSlot> pairs_;
  int32_t unk_id_ = -1;
  bool fuse_unk_ = false;
  bool ignore_merges_ = false;
  /// Words by their bytes; filled only when merges are ignored.
  std::unordered_map<std::string, int32_t> whole_words_;
};

}  // namespace txtsum::text
