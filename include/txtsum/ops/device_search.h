#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "txtsum/ops/decode_attention.h"

namespace txtsum::ops {

/// What decoding rows on a GPU stand at. R: rows; rows slot * beams to slot * beams + beams - 1 are one slot's.
struct DecodingRows {
  at::Tensor ids_R, positions_R;  ///< int64: the token that comes next, and its position.
  DeviceRows past;
  at::Tensor source_lengths;  ///< int32, [slots]; 0: the slot rests.
};

/// Which hypotheses a search looks for, in transformers' terms; lengths count the start token.
struct SearchRules {
  int64_t beams = 1;  ///< 1: the best token is taken at each step.
  int64_t vocabulary = 0, max_length = 0, min_length = 0;
  int64_t no_repeat_ngram = 0, source_no_repeat_ngram = 0;
  double length_penalty = 1.0, repetition_penalty = 1.0;
  bool renormalize = false;       ///< Scores that the rules leave become log-probabilities again.
  bool stop_when_full = false;    ///< `early_stopping` true.
  bool hope_for_longest = false;  ///< `early_stopping` "never", with a length penalty above 0.
  int64_t start_id = 0;
  std::vector<int64_t> eos_ids;
  std::vector<int64_t> forced_first, forced_last;  ///< Ascending; alone allowed as first and as last token.
  std::vector<int64_t> suppressed;
  std::vector<std::vector<int64_t>> bad_words;
};

/// What became of one slot's search.
struct SearchResult {
  std::vector<std::vector<int64_t>> ids;  ///< Of the finished hypotheses, best first, start token first.
  std::vector<double> scores;             ///< With one beam: the sum of log-probabilities, without length penalty.
  int64_t steps = 0;
};

/// Searches on a GPU, one a slot, side by side: scores, rules, choice, finished hypotheses and the order of the rows
/// stay there. The host only asks which slots still run, and that late.
class DeviceSearch {
 public:
  /// In a binary without code for GPUs it throws InternalError.
  DeviceSearch(const SearchRules& rules, int64_t slots, int64_t max_source_tokens, const at::Device& device);
  ~DeviceSearch();

  const DecodingRows& rows() const;
  /// Starts a search in each of `slots`, which must rest. `sources` are their documents' ids.
  void start(const std::vector<int64_t>& slots, const std::vector<std::span<const int32_t>>& sources);
  /// Goes one token further in all running slots. logits: [R, stride] of the next tokens, changed. A graph can hold it.
  void step(const at::Tensor& logits_RV);
  /// Asks which slots run after the steps so far.
  void ask();
  /// How many times was asked without an answer yet.
  int64_t asked() const;
  /// Waits for the oldest answer. Throws DataError where a slot's scores are no numbers or all tokens are forbidden.
  std::vector<bool> running();
  /// What the searches of `slots` found, which rest. Waits for the GPU.
  std::vector<SearchResult> results(const std::vector<int64_t>& slots) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace txtsum::ops
