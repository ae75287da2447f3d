#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "txtsum/generate/generator.h"

namespace txtsum::generate {

/// The search for one document's summary. Row b of a step belongs to running hypothesis b.
class Search {
 public:
  virtual ~Search() = default;
  /// Ids of running hypothesis `beam`, start token first.
  virtual std::span<const int64_t> ids(int64_t beam) const = 0;
  /// True when a step works on log-probabilities, false for raw logits.
  virtual bool uses_log_probabilities() const = 0;
  /// Extends the hypotheses by one token. scores: [beams, vocabulary], after the rules; `raw` the same before the
  /// rules. Returns false when the search is over. Throws DataError when the scores hold no number to choose.
  virtual bool step(std::span<const float> scores, std::span<const float> raw) = 0;
  /// Which hypothesis of the step before each running one continues.
  virtual const std::vector<int64_t>& parents() const = 0;
  /// The best hypotheses, best first.
  virtual std::vector<Hypothesis> results() const = 0;
};

/// Greedy search for one beam, else transformers' beam search.
std::unique_ptr<Search> start_search(const GenerationSettings& settings);

}  // namespace txtsum::generate
