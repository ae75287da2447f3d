#pragma once

#include "search.h"

namespace txtsum::generate {

/// Takes the likeliest token at each step (transformers' generate with one beam).
class GreedySearch final : public Search {
 public:
  explicit GreedySearch(const GenerationSettings& settings) : settings_(settings), ids_{settings.decoder_start_id} {}

  std::span<const int64_t> ids(int64_t /*beam*/) const override { return ids_; }
  int64_t beams() const override { return 1; }
  bool uses_log_probabilities() const override { return false; }
  float running_score(int64_t /*beam*/) const override { return 0.0f; }
  int64_t candidates_wanted() const override { return 1; }
  bool take(const std::vector<Candidate>& candidates) override;
  const std::vector<int64_t>& parents() const override { return parents_; }
  std::vector<Hypothesis> results() const override;

 private:
  const GenerationSettings& settings_;
  std::vector<int64_t> ids_;
  std::vector<int64_t> parents_{0};
  double log_probability_ = 0.0;
};

}  // namespace txtsum::generate
