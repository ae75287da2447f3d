#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace txtsum::metrics {

/// Longest common subsequences with one candidate token list, 64 columns of the table at a time (Hyyro, "Bit-parallel
/// LCS-length computation revisited", 2004). The table is t[i][j] = length for the reference's first i tokens and the
/// candidate's first j; bit j of row i is 0 where t[i][j + 1] = t[i][j] + 1.
class LcsWithCandidate {
 public:
  /// `slot_of_token` is scratch that holds one zero for each token number; it is all zeros again after destruction.
  LcsWithCandidate(std::span<const uint32_t> candidate, std::vector<uint32_t>& slot_of_token);
  ~LcsWithCandidate();
  LcsWithCandidate(const LcsWithCandidate&) = delete;
  LcsWithCandidate& operator=(const LcsWithCandidate&) = delete;

  /// Length only: O(words) memory.
  size_t length(std::span<const uint32_t> reference) const;

  /// Sets in_lcs[i] for the reference tokens of one longest common subsequence. Of several it takes the one that
  /// rouge_score's backtracking takes: from the end, equal tokens are used at once; else a candidate's token is dropped
  /// only if that leaves strictly more than dropping the reference's.
  void mark(std::span<const uint32_t> reference, std::span<char> in_lcs);

 private:
  const uint64_t* matches(uint32_t token) const { return &matches_[slot_of_token_[token] * words_]; }
  void next_row(const uint64_t* above, const uint64_t* match, uint64_t* row) const;
  size_t count_steps(const uint64_t* row, size_t columns) const;

  std::span<const uint32_t> candidate_;
  std::vector<uint32_t>& slot_of_token_;
  size_t words_;
  std::vector<uint64_t> matches_;
  std::vector<uint64_t> rows_;
};

}  // namespace txtsum::metrics
