#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "txtsum/generate/generator.h"

namespace txtsum::generate {

/// A token that could extend a running hypothesis.
struct Candidate {
  float score = 0.0f;  ///< The token's and the hypothesis's.
  int64_t parent = 0;  ///< The running hypothesis.
  int64_t id = 0;
  double log_probability = 0.0;  ///< By the model's own logits; set where the search works on logits.
};

/// The search for one document's summary.
class Search {
 public:
  virtual ~Search() = default;
  /// Ids of running hypothesis `beam`, start token first.
  virtual std::span<const int64_t> ids(int64_t beam) const = 0;
  /// Running hypotheses.
  virtual int64_t beams() const = 0;
  /// True when scores are log-probabilities, false for raw logits.
  virtual bool uses_log_probabilities() const = 0;
  /// What running hypothesis `beam` adds to the scores of its tokens.
  virtual float running_score(int64_t beam) const = 0;
  /// Candidates that a step needs.
  virtual int64_t candidates_wanted() const = 0;
  /// Extends the hypotheses by one token, chosen from the best candidates of all, best first. Returns false when the
  /// search is over.
  virtual bool take(const std::vector<Candidate>& candidates) = 0;
  /// Which hypothesis of the step before each running one continues.
  virtual const std::vector<int64_t>& parents() const = 0;
  /// The best hypotheses, best first.
  virtual std::vector<Hypothesis> results() const = 0;
};

/// Greedy search for one beam, else transformers' beam search.
std::unique_ptr<Search> start_search(const GenerationSettings& settings);

}  // namespace txtsum::generate
