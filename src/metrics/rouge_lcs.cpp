#include "metrics/rouge_lcs.h"

#include <bit>

namespace txtsum::metrics {

LcsWithCandidate::LcsWithCandidate(std::span<const uint32_t> candidate, std::vector<uint32_t>& slot_of_token)
    : candidate_(candidate), slot_of_token_(slot_of_token), words_((candidate.size() + 63) / 64), matches_(words_) {
  // Slot 0 stays empty: it serves the tokens that the candidate lacks.
  for (size_t j = 0; j < candidate.size(); ++j) {
    uint32_t& slot = slot_of_token_[candidate[j]];
    if (slot == 0) {
      slot = static_cast<uint32_t>(matches_.size() / words_);
      matches_.resize(matches_.size() + words_);
    }
    matches_[slot * words_ + j / 64] |= uint64_t{1} << (j % 64);
  }
}

LcsWithCandidate::~LcsWithCandidate() {
  for (const uint32_t token : candidate_) slot_of_token_[token] = 0;
}

void LcsWithCandidate::next_row(const uint64_t* above, const uint64_t* match, uint64_t* row) const {
  uint64_t carry = 0;
  for (size_t w = 0; w < words_; ++w) {
    const uint64_t v = above[w];
    const uint64_t used = v & match[w];
    const uint64_t partial = v + used;
    const uint64_t sum = partial + carry;
    carry = (partial < v) | (sum < partial);
    row[w] = sum | (v & ~match[w]);
  }
}

size_t LcsWithCandidate::count_steps(const uint64_t* row, size_t columns) const {
  size_t steps = 0;
  for (size_t w = 0; w < columns / 64; ++w) steps += static_cast<size_t>(std::popcount(~row[w]));
  const size_t rest = columns % 64;
  if (rest != 0) steps += static_cast<size_t>(std::popcount(~row[columns / 64] & ((uint64_t{1} << rest) - 1)));
  return steps;
}

size_t LcsWithCandidate::length(std::span<const uint32_t> reference) const {
  std::vector<uint64_t> row(words_, ~uint64_t{0});
  for (const uint32_t token : reference) next_row(row.data(), matches(token), row.data());
  return count_steps(row.data(), candidate_.size());
}

void LcsWithCandidate::mark(std::span<const uint32_t> reference, std::span<char> in_lcs) {
  rows_.assign((reference.size() + 1) * words_, ~uint64_t{0});
  const auto row = [&](size_t i) { return &rows_[i * words_]; };
  for (size_t i = 1; i <= reference.size(); ++i) next_row(row(i - 1), matches(reference[i - 1]), row(i));

  const auto step_at = [&](size_t i, size_t j) -> size_t { return !(row(i)[(j - 1) / 64] >> ((j - 1) % 64) & 1); };
  size_t i = reference.size();
  size_t j = candidate_.size();
  size_t here = 0;
  size_t above = 0;
  const auto read_lengths = [&] {
    here = count_steps(row(i), j);
    above = i == 0 ? 0 : count_steps(row(i - 1), j);
  };
  read_lengths();
  while (i > 0 && j > 0) {
    const size_t left = here - step_at(i, j);
    if (reference[i - 1] == candidate_[j - 1]) {
      in_lcs[--i] = 1;
      --j;
      read_lengths();
    } else if (left > above) {
      above -= step_at(i - 1, j);
      here = left;
      --j;
    } else {
      --i;
      here = above;
      above = i == 0 ? 0 : count_steps(row(i - 1), j);
    }
  }
}

}  // namespace txtsum::metrics
