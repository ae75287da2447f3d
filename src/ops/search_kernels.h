#pragma once

// The CUDA kernels of a search, on plain pointers (see device_kernels.h). A row is one running hypothesis; rows
// slot * beams to slot * beams + beams - 1 belong to one document.

#include "device_kernels.h"

namespace txtsum::ops::cuda {

struct IdList {
  const int32_t* ids = nullptr;
  int32_t count = 0;
};

/// What is fixed for all searches: ops::SearchRules.
struct SearchTables {
  int32_t beams = 1, wanted = 1;  ///< wanted: candidates that a step needs.
  int32_t vocabulary = 0, max_length = 0, min_length = 0;
  int32_t no_repeat_ngram = 0, source_no_repeat_ngram = 0;
  float repetition_penalty = 1.0f;
  bool greedy =
      false;  ///< Scores are logits and the best one is taken; else log-probabilities, and beams are searched.
  bool renormalize = false;  ///< After the rules; not where greedy.
  bool stop_when_full = false, hope_for_longest = false;
  const float* length_factors = nullptr;  ///< [max_length + 1]: length^length_penalty
  IdList eos, forced_first, forced_last, suppressed;
  IdList bad_words;                   ///< One after the other.
  const int32_t* bad_ends = nullptr;  ///< Where each of them ends.
  int32_t bad_word_count = 0;
};

/// State of a slot.
enum SlotStatus : int32_t { kIdle = 0, kRunning = 1, kNoNumbers = 2 };

/// The searches of all slots. T: max_length; R: slots * beams.
struct SearchState {
  int64_t slots = 0, source_capacity = 0;
  // What the decoder reads, see ops::DecodingRows.
  int64_t *ids = nullptr, *positions = nullptr;
  int32_t *lengths = nullptr, *origins = nullptr, *source_lengths = nullptr;
  int32_t* sources = nullptr;                                    ///< [slots, source_capacity]
  int32_t* status = nullptr;                                     ///< [slots]
  int32_t* written = nullptr;                                    ///< [slots]: ids of each running hypothesis
  int32_t* running_ids = nullptr;                                ///< [R, T]
  float* scores = nullptr;                                       ///< [R]
  int32_t *finished_ids = nullptr, *finished_lengths = nullptr;  ///< [R, T] and [R], by place
  int32_t* finished_places = nullptr;                            ///< [R]: the places, best first
  float* finished_scores = nullptr;                              ///< [R], best first
  int32_t* finished_counts = nullptr;                            ///< [slots]
  double* log_probabilities = nullptr;                           ///< [slots], greedy: summed
  // Scratch.
  float *candidate_scores = nullptr, *candidate_log_probabilities = nullptr;  ///< [R, wanted], [R]
  int32_t* candidate_ids = nullptr;                                           ///< [R, wanted]; -1: no number
  float* saved = nullptr;                                                     ///< [R, T]
  int32_t *moved_ids = nullptr, *moved_origins = nullptr;                     ///< [R, T] each
};

/// Starts a search in each of `count` slots.
struct SearchStart {
  int32_t count = 0;
  int32_t start_id = 0;
  const int32_t* slots = nullptr;    ///< [count]
  const int32_t* ends = nullptr;     ///< [count]: where each source ends in `sources`
  const int32_t* sources = nullptr;  ///< One after the other.
};
void start_searches(const SearchTables& tables, const SearchState& state, const SearchStart& start,
                    cudaStream_t stream);

/// Applies the rules to the logits of the rows of running slots and finds each row's candidates, best first.
struct SearchLogits {
  Type type = Type::kFloat;
  void* logits = nullptr;  ///< [R, stride]; changed where tokens are penalized or forbidden.
  int64_t stride = 0;      ///< A multiple of 8.
};
void choose_candidates(const SearchTables& tables, const SearchState& state, const SearchLogits& logits,
                       cudaStream_t stream);

/// Takes each running slot one token further.
void advance_searches(const SearchTables& tables, const SearchState& state, cudaStream_t stream);

}  // namespace txtsum::ops::cuda
