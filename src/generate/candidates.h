#pragma once

#include <span>
#include <vector>

#include "search.h"

namespace txtsum::generate {

/// The best candidates of a search, best first; of equal ones that of the earlier hypothesis and smaller id. Throws
/// DataError when there is no number to choose.
class CandidateChoice {
 public:
  explicit CandidateChoice(const Search& search);

  /// Offers token `id` for hypothesis `beam`. Within a hypothesis, offer equal scores by id.
  void offer(int64_t beam, float token_score, int64_t id) {
    const float score = token_score + offset_;
    if (beam != beam_) return start_beam(beam, token_score, id);
    if (heap_.size() == wanted_ && !(score > heap_.front().score)) return;
    push({score, beam, id});
  }
  std::vector<Candidate> best_first();

 private:
  void start_beam(int64_t beam, float token_score, int64_t id);
  void push(const Candidate& candidate);

  const Search& search_;
  size_t wanted_;
  int64_t beam_ = -1;
  float offset_ = 0.0f;
  std::vector<Candidate> heap_;  // the worst kept candidate is at the front
};

/// The best candidates from the scores of all tokens. scores: [beams, vocabulary], after the rules; `raw` the same
/// before the rules.
std::vector<Candidate> best_candidates(const Search& search, std::span<const float> scores, std::span<const float> raw);

}  // namespace txtsum::generate
